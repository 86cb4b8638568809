"""Diffs against the files of a publisher's image: what is asked of BuildKit, what is kept, and what is refused."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from build.doors.buildx import BuildFailed
from build.doors.progress import BuildEvent
from build.errors import Unreachable, WorkFailed
from build.pin.images import ImageStore
from build.pin.model import PatchedFile
from build.pin.packages import Packages
from build.pin.patches import PatchRefused
from build.pin.published import PublishedFiles
from build.pin.resolve import Resolver
from build.recipe.model import Patch, Recipe
from build.recipe.sources import VendorSource
from tests.fakes import FakeBuilder, RecordingReporter
from tests.unit.pin.repositories import make_sources
from tests.unit.pin.test_patching import AFTER, BEFORE, DIFF, name
from tests.unit.pin.test_resolve import IMAGE, ROOT, VENDORED

SITE = "/usr/lib/site-packages"
SOURCE = VendorSource(image=IMAGE, upstream="https://git.example.org/e", version="1", site_packages=SITE)
ADDED = """\
diff --git a/package/fresh/values.py b/package/fresh/values.py
new file mode 100644
--- /dev/null
+++ b/package/fresh/values.py
@@ -0,0 +1 @@
+value = 1
"""
FILE = "package/values.py"

Put = Callable[[Path], object]


def text(content: str) -> Put:
    return lambda path: path.write_text(content)


@dataclass
class Published:
    """BuildKit with one image: it copies what the Dockerfile's patterns fit, and nothing for those that fit nothing."""

    files: Mapping[str, Put]
    says: str = ""
    """How its build fails."""
    packages: bool = True
    """Some are installed where the recipe says."""
    dockerfiles: list[str] = field(default_factory=list)

    def builder(self) -> FakeBuilder:
        events = (BuildEvent(kind="error", vertex=2, stage="", name="a step", text=self.says),)
        return FakeBuilder(self._write, events=events if self.says else ())

    def _write(self, target: str, folder: Path) -> None:
        assert target == "files"
        dockerfile = (folder.parent / "Dockerfile").read_text()
        self.dockerfiles.append(dockerfile)
        if self.says:
            raise BuildFailed(stage="", step="a step", tail=(self.says,), log=folder.parent / "build.log")
        folder.mkdir()
        *copies, (packages, place) = [
            json.loads(line) for line in re.findall(r"^COPY --from=publisher (.*)$", dockerfile, re.MULTILINE)
        ]
        assert (packages, place) == (f"{SITE}/*.dist-info/METADATA", "/packages/")
        if self.packages:
            (folder / "packages").mkdir()
            (folder / "packages" / "METADATA").write_text("Name: package")
        for pattern, number in copies:
            path = re.sub(r"\[(.)\]", r"\1", pattern).removeprefix(f"{SITE}/")
            if put := self.files.get(path):
                put(folder / number[1:])


def reader(tmp_path: Path, published: Published) -> PublishedFiles:
    return PublishedFiles(
        cache=tmp_path / "cache",
        templates=ROOT / "dockerfiles",
        builder=published.builder,
        reporter=RecordingReporter(),
    )


def resolver(
    tmp_path: Path, published: Published, *, there: bool | Exception = True, **diffs: str
) -> Resolver:
    sources = make_sources(tmp_path)
    for file, diff in diffs.items():
        path = sources.patches / "mini" / f"{file}.patch"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(diff)

    def registry_has(_reference: str) -> bool:
        if isinstance(there, Exception):
            raise there
        return there

    images = ImageStore(
        cache=tmp_path / "cache", templates=ROOT / "dockerfiles", builder=published.builder,
        reporter=RecordingReporter(), registry_has=registry_has,
    )  # fmt: skip
    return Resolver(
        sources=sources, packages=cast("Packages", None), images=images,
        toolchains=ROOT / "recipes" / "toolchains", patches=sources.patches, base_mode="auto",
    )  # fmt: skip


def recipe(*patches: str) -> Recipe:
    listed = tuple(Patch(file=f"mini/{file}.patch", why="a test") for file in patches)
    return replace(VENDORED, source=SOURCE, patches=listed)


@pytest.mark.processes
def test_diffs_are_proven_in_order_on_the_image_s_files_and_exported(tmp_path: Path) -> None:
    second = DIFF.replace("-value_11 = 11\n+value_11 = 1111", "-value_11 = 1111\n+value_11 = 0")
    published = Published({"package/values.py": text(BEFORE)})
    made = resolver(tmp_path, published, a=DIFF, b=ADDED, c=second)
    asked = recipe("a", "b", "c")
    pin = made.resolve(asked, known=None)
    end = AFTER.replace("1111", "0")
    assert [(proof.verdict, proof.changes) for proof in pin.source.patches] == [
        ("clean", (PatchedFile(path="package/values.py", before=name(BEFORE), after=name(AFTER)),)),
        ("clean", (PatchedFile(path="package/fresh/values.py", before="", after=name("value = 1\n")),)),
        ("clean", (PatchedFile(path="package/values.py", before=name(AFTER), after=name(end)),)),
    ]
    ((context, folder),) = made.contexts(asked, pin)
    assert context == "edits"
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}
    assert found == {"package/values.py": end, "package/fresh/values.py": "value = 1\n"}
    made.prove(asked, pin)
    (folder / "package/values.py").write_text("other")
    with pytest.raises(WorkFailed, match="was changed after it was pinned"):
        made.prove(asked, pin)


@pytest.mark.processes
def test_what_was_taken_is_asked_for_once(tmp_path: Path) -> None:
    published = Published({"package/values.py": text(BEFORE)})
    made, asked = resolver(tmp_path, published, a=DIFF), recipe("a")
    pin = made.resolve(asked, known=None)
    assert made.resolve(asked, known=None) == pin
    made.prove(asked, pin)
    assert len(published.dockerfiles) == 1
    away = resolver(tmp_path, Published({}, says="none"), there=Unreachable("no route"))
    assert away.resolve(asked, known=pin) == pin


@pytest.mark.processes
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"package/values.py": text(AFTER)}, " is already applied: the source has this change"),
        (
            {"package/values.py": text(BEFORE.replace("value_11 = 11", "eleven = 11"))},
            f" conflicts with the source at {FILE}:8: its target is gone, {FILE} has none of the lines that it changes",
        ),
        (
            {"package/values.py": text(BEFORE.replace("value_8 = 8", "eight = 8"))},
            " needs fuzz: at package/values.py:8 the lines around the change differ from the source",
        ),
        ({}, ": its target is gone: the source has no package/values.py"),
        ({"package/values.py": Path.mkdir}, ": its target is gone: the source has no package/values.py"),
        (
            {"package/values.py": lambda path: path.symlink_to(__file__)},
            ": its target is gone: the source has no package/values.py",
        ),
    ],
)
def test_a_diff_that_does_not_apply_is_refused(tmp_path: Path, files: Mapping[str, Put], says: str) -> None:
    made = resolver(tmp_path, Published(files), a=DIFF)
    with pytest.raises(PatchRefused) as caught:
        made.resolve(recipe("a"), known=None)
    assert caught.value.message == f"patches/mini/a.patch{says}"


@pytest.mark.processes
def test_a_file_that_a_diff_adds_and_the_image_has_is_refused(tmp_path: Path) -> None:
    made = resolver(tmp_path, Published({"package/fresh/values.py": text("other")}), a=ADDED)
    with pytest.raises(PatchRefused, match=r"conflicts with the source at package/fresh/values\.py: already"):
        made.resolve(recipe("a"), known=None)


def test_nothing_of_a_path_is_a_pattern_or_an_instruction(tmp_path: Path) -> None:
    published = Published({"package/c++.py": text("x")})
    taken = reader(tmp_path, published).read(SOURCE, ["package/c++.py", "a.py"])
    assert taken == {"package/c++.py": b"x"}
    assert published.dockerfiles[0].splitlines()[2:] == [
        f"FROM {IMAGE} AS publisher",
        "",
        "FROM scratch AS files",
        f'COPY --from=publisher ["{SITE}/[a].py", "/0"]',
        f'COPY --from=publisher ["{SITE}/[p]ackage/c++.py", "/1"]',
        f'COPY --from=publisher ["{SITE}/*.dist-info/METADATA", "/packages/"]',
    ]


@pytest.mark.parametrize(
    "path", ["p/$HOME.py", "p/*.py", "p[a].py", 'p",/etc.py', "p\\a.py", "-p.py", "p\n.py"]
)
def test_a_path_that_would_mean_something_else_is_refused(tmp_path: Path, path: str) -> None:
    published = Published({})
    with pytest.raises(WorkFailed, match=r"cannot be taken out of a publisher's image") as caught:
        reader(tmp_path, published).read(SOURCE, [path])
    assert "letters, digits and _ . / + @ -" in caught.value.hint
    assert not published.dockerfiles


@pytest.mark.processes
def test_a_diff_that_leads_out_of_the_packages_is_refused(tmp_path: Path) -> None:
    published = Published({})
    made = resolver(tmp_path, published, a=DIFF.replace("a/package/", "/etc/").replace("b/package/", "/etc/"))
    with pytest.raises(PatchRefused, match=r"leads out of the source: /etc/values\.py"):
        made.resolve(recipe("a"), known=None)
    assert not published.dockerfiles


def test_a_kept_file_that_was_changed_is_refused_and_mended_as_the_hint_says(tmp_path: Path) -> None:
    files = reader(tmp_path, Published({"a.py": text("a")}))
    files.read(SOURCE, ["a.py"])
    (kept,) = (tmp_path / "cache" / "published").glob("*/files/0")
    kept.write_text("other")
    with pytest.raises(
        WorkFailed, match=rf"which is a\.py of {IMAGE}, was changed after it was taken"
    ) as caught:
        files.read(SOURCE, ["a.py"])
    assert caught.value.hint == f"delete {kept.parents[1]}; it is then taken again"
    kept.unlink()
    with pytest.raises(WorkFailed, match="its hash is none, it is gone, not ca978112ca1b"):
        files.read(SOURCE, ["a.py"])


def test_a_file_that_is_too_big_to_be_source_is_refused(tmp_path: Path) -> None:
    def big(path: Path) -> None:
        with path.open("w") as file:
            file.truncate((16 << 20) + 1)

    with pytest.raises(WorkFailed, match=r"a\.so has 16777217 bytes and cannot be patched as text"):
        reader(tmp_path, Published({"a.so": big})).read(SOURCE, ["a.so"])


@pytest.mark.parametrize(
    "says",
    [
        'failed to do request: Head "https://r.invalid/v2/x": dial tcp 127.0.0.1:1: connect: connection refused',
        "failed to authorize: failed to fetch anonymous token: 401 Unauthorized",
        "failed to copy: httpReadSeeker: failed open: unexpected EOF",
        "unexpected status from GET request to https://r.invalid/v2/x: 503 Service Unavailable",
    ],
)
def test_an_image_that_cannot_be_pulled_is_code_4_with_the_reason(tmp_path: Path, says: str) -> None:
    published = Published({"a.py": text("a")}, says=says)
    files = reader(tmp_path, published)
    with pytest.raises(Unreachable) as caught:
        files.read(SOURCE, ["a.py"])
    assert caught.value.exit_code == 4
    assert caught.value.message == f"{IMAGE} cannot be pulled: {says}"
    assert "build.log" in caught.value.hint
    # Nothing of it is kept: the next run asks again.
    assert reader(tmp_path, replace(published, says="")).read(SOURCE, ["a.py"]) == {"a.py": b"a"}


@pytest.mark.processes
def test_a_registry_that_does_not_answer_is_told_before_a_build(tmp_path: Path) -> None:
    published = Published({})
    with pytest.raises(Unreachable, match="no route"):
        resolver(tmp_path, published, there=Unreachable("no route"), a=DIFF).resolve(recipe("a"), known=None)
    with pytest.raises(WorkFailed, match="the registry answers and has no"):
        resolver(tmp_path, published, there=False, a=DIFF).resolve(recipe("a"), known=None)
    assert not published.dockerfiles


@pytest.mark.parametrize(
    "published",
    [
        Published({}, says=f"lstat /var/lib/docker/tmp/buildkit-mount1{SITE}: no such file or directory"),
        Published({}, packages=False),
    ],
)
def test_packages_that_lie_elsewhere(tmp_path: Path, published: Published) -> None:
    with pytest.raises(WorkFailed) as caught:
        reader(tmp_path, published).read(SOURCE, ["a.py"])
    assert caught.value.message == f"{IMAGE} has no packages in {SITE}"
    assert caught.value.hint == "write where they lie into source.site_packages"


def test_another_failure_of_the_build_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="no space left on device"):
        reader(tmp_path, Published({}, says="no space left on device")).read(SOURCE, ["a.py"])
