"""What an image is built from, gathered and proven again: equal bytes wherever it is made, and each tampering refused."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build.doors import store
from build.doors.gitobjects import EMPTY, Link, read_folder
from build.errors import BadRequest, IngotError, WorkFailed
from build.plan.model import ImagePlan
from build.plan.plan import decided
from build.publish.bundle import materialise
from build.publish.sourcetar import pack_folder, unpack_folder
from tests.unit.pin.repositories import DIFF
from tests.unit.publish.bundles import PATCH, planned

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("patches", [(), (PATCH,)])
def test_a_bundle_gives_back_what_was_pinned(tmp_path: Path, patches: tuple[str, ...]) -> None:
    one = planned(tmp_path, *patches)
    bundle = one.gather(tmp_path / "bundle")
    wanted = {"recipe.yaml", "pin.json", "plan.json", "locks", "source.tar", "toolchain", "base"}
    assert {path.name for path in bundle.iterdir()} == (wanted | {"patches"} if patches else wanted)
    assert {path.name for path in (bundle / "locks").iterdir()} == {"cuda-13.0.txt", "debian.json"}
    assert str(tmp_path) not in (bundle / "plan.json").read_text(), "no path of the machine that made it"
    material = materialise(bundle, tmp_path / "work")
    assert material.plan.fingerprint == one.plan.fingerprint
    assert dict(material.plan.files)["Dockerfile"] == dict(one.plan.files)["Dockerfile"]
    target = json.loads(dict(material.plan.files)["docker-bake.json"])["target"]["mini"]
    assert target["contexts"]["base"] == f"oci-layout://{bundle}/base@{one.plan.pin.base.digest}"
    source = tmp_path / "work" / target["contexts"]["source"]
    assert read_folder(source).id == one.plan.pin.source.patched_tree
    assert ("return 1111;" in (source / "src/main.cpp").read_text()) is bool(patches)
    assert (source / "out").readlink() == Path("/etc/passwd"), "as upstream has it, and not followed"
    exported = one.resolver.sources.folder(one.plan.pin.source)
    assert (source / "x.log").stat().st_mtime_ns == (exported / "x.log").stat().st_mtime_ns


def test_a_bundle_of_another_build_machine_has_its_toolchain_and_the_same_fingerprint(tmp_path: Path) -> None:
    there = planned(tmp_path / "there", platform="linux/arm64")
    bundle = there.gather(tmp_path / "bundle")
    assert materialise(bundle, tmp_path / "work").plan.pin == there.plan.pin
    here = planned(tmp_path / "here")
    assert here.plan.pin.toolchain != there.plan.pin.toolchain
    assert decided(here.plan) == decided(there.plan)
    for name in ("plan.json", "pin.json"):
        document = (bundle / name).read_text()
        (bundle / name).write_text(document.replace('"linux/arm64"', '"linux/amd64"'))
    with pytest.raises(WorkFailed, match=r"toolchain: holds 0 images for linux/amd64"):
        materialise(bundle, tmp_path / "again")


def test_a_platform_that_nobody_made_a_toolchain_for_is_no_pin(tmp_path: Path) -> None:
    bundle = planned(tmp_path, platform="linux/arm64").gather(tmp_path / "bundle")
    plan = bundle / "plan.json"
    plan.write_text(plan.read_text().replace('"linux/arm64"', '"linux/arm64 --network=host"'))
    with pytest.raises(BadRequest, match="platform"):
        materialise(bundle, tmp_path / "work")


def test_the_bytes_do_not_depend_on_place_or_umask(tmp_path: Path) -> None:
    one = planned(tmp_path, PATCH)
    first = one.gather(tmp_path / "bundle")
    before = os.umask(0o077)
    try:
        second = one.gather(tmp_path / "else" / "where")
        unpack_folder(second / "source.tar", tmp_path / "unpacked")
    finally:
        os.umask(before)
    assert store.sha256_file(first / "source.tar") == store.sha256_file(second / "source.tar")
    assert read_folder(tmp_path / "unpacked").id == one.plan.pin.source.tree
    pack_folder(tmp_path / "unpacked", tmp_path / "again.tar")
    assert store.sha256_file(tmp_path / "again.tar") == store.sha256_file(first / "source.tar")


def test_a_recipe_that_moved_on_is_not_gathered(tmp_path: Path) -> None:
    one = planned(tmp_path, PATCH)
    patch = tmp_path / "patches" / PATCH
    patch.write_text(patch.read_text().replace("1111", "1112"))
    with pytest.raises(
        BadRequest, match="mini: its recipe, patches or locks were changed after it was planned"
    ):
        one.gather(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def another_text(document: Any) -> None:
    document["files"] = [[path, text + "# more\n"] for path, text in document["files"]]


def another_layer(bundle: Path) -> None:
    for blob in (bundle / "toolchain" / "blobs" / "sha256").iterdir():
        data = blob.read_bytes()
        if data.startswith(b"\x28\xb5\x2f\xfd"):  # zstd
            blob.unlink()
            blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def another_file(bundle: Path) -> None:
    unpack_folder(bundle / "source.tar", bundle / "x")
    (bundle / "x" / "README.md").write_text("other\n")
    pack_folder(bundle / "x", bundle / "source.tar")


def other_paths(bundle: Path, path: str) -> None:
    rewrite(bundle / "plan.json", lambda plan: plan["files"].append([path, "x"]))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda b: rewrite(b / "plan.json", another_text), r"its inputs have the fingerprint \w{64}, it says \w{64}"),
    "label": (lambda b: rewrite(b / "plan.json", lambda p: p["labels"][0].__setitem__(1, "x")), "its inputs have the fin"),
    "pin": (lambda b: rewrite(b / "pin.json", lambda p: p.__setitem__("inputs", "x")), r"pin.json is not the pin of plan"),
    "recipe": (lambda b: edit(b / "recipe.yaml", "title: Mini", "title: Maxi"), r"not the recipe of plan.json: \w{64} and \w{64}"),
    "no recipe": (lambda b: (b / "recipe.yaml").write_text("["), r"recipe.yaml is no recipe"),
    "lost recipe": (lambda b: (b / "recipe.yaml").unlink(), r"recipe.yaml is no recipe"),
    "unknown placeholder": (
        lambda b: edit(b / "recipe.yaml", 'version: "1"', 'version: "{x}"'), r"nothing is known for the placeholder {x}",
    ),
    "no plan": (lambda b: (b / "plan.json").unlink(), "plan.json does not exist"),
    "patch": (lambda b: append(b / "patches" / PATCH, "\n"), r"its hash is \w{64}, the pin says \w{64}"),
    "source": (another_file, r"source.tar: its files are those of the tree \w{40}, the pin says \w{40}"),
    "layer": (another_layer, r"a layer has the bytes of sha256:\w{64}, the toolchain has sha256:\w{64}"),
    "images exchanged": (
        lambda b: ((b / "base").rename(b / "x"), (b / "toolchain").rename(b / "base"), (b / "x").rename(b / "toolchain")),
        r"toolchain holds sha256:\w{64}, the pin says that the toolchain is sha256:\w{64}",
    ),
    "path": (lambda b: other_paths(b, "../../x"), r"the path '../../x' leads elsewhere"),
    "absolute path": (lambda b: other_paths(b, "/etc/x"), r"the path '/etc/x' leads elsewhere"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_changed_is_refused(tmp_path: Path, case: str) -> None:
    bundle = planned(tmp_path, PATCH).gather(tmp_path / "bundle")
    tamper, words = TAMPERED[case]
    tamper(bundle)
    with pytest.raises(IngotError, match=words):
        materialise(bundle, tmp_path / "work")


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    bundle = planned(tmp_path).gather(tmp_path / "bundle")
    rewrite(bundle / "plan.json", lambda plan: plan["recipe"].__setitem__("name", "../../up"))
    with pytest.raises(WorkFailed, match=r"'\.\./\.\./up' is no recipe's and no variant's name"):
        materialise(bundle, tmp_path / "work")
    assert store.read_known(bundle / "plan.json", ImagePlan)


@pytest.mark.parametrize("path", ["escape/made", "escape", "README.md", "README.md/made"])
def test_the_folder_of_a_submodule_is_made_nowhere_else(tmp_path: Path, path: str) -> None:
    """A patch adds the symbolic link: the index holds it, so the folder would be made where it leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = f"--- /dev/null\n+++ b/escape\n@@ -0,0 +1 @@\n+{elsewhere}\n\\ No newline at end of file\n"
    added = f"diff --git a/escape b/escape\nnew file mode 120000\n{link}"
    one = planned(tmp_path, PATCH, diff=f"diff --git a/src/main.cpp b/src/main.cpp\n{DIFF}{added}")
    bundle = one.gather(tmp_path / "bundle")
    source = replace(one.plan.pin.source, links=(Link(path=path, commit="c" * 40, tree=EMPTY),))
    plan = replace(one.plan, pin=replace(one.plan.pin, source=source))
    store.write_artifact(bundle / "plan.json", replace(plan, fingerprint=decided(plan)))
    store.write_artifact(bundle / "pin.json", plan.pin)
    with pytest.raises(WorkFailed, match=f"the submodule '{path}' lies behind a symbolic link or a file"):
        materialise(bundle, tmp_path / "work")
    assert not list(elsewhere.iterdir())


def write_tar(path: Path, *members: tuple[str, bytes, str]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, kind, link in members:
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, link
            archive.addfile(header, io.BytesIO())


HOSTILE: dict[str, tuple[tuple[tuple[str, bytes, str], ...], str]] = {
    "out of it": ((("../x", tarfile.REGTYPE, ""),), "points outside the root"),
    "absolute": ((("/x", tarfile.REGTYPE, ""),), "points outside the root"),
    "behind a link": (
        (("a", tarfile.SYMTYPE, "/tmp"), ("a/x", tarfile.REGTYPE, "")), "a/x lies in no folder of it",
    ),
    "through a link": ((("a", tarfile.SYMTYPE, "/tmp/x"), ("a", tarfile.REGTYPE, "")), "is there twice"),
    "hard link": ((("a", tarfile.LNKTYPE, "/etc/passwd"),), "neither a file, a folder nor a symbolic link"),
    "device": ((("a", tarfile.CHRTYPE, ""),), "neither a file, a folder nor a symbolic link"),
    "a repository": ((("s", tarfile.DIRTYPE, ""), ("s/.Git", tarfile.DIRTYPE, "")), "read as a repository"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_is_written_elsewhere(tmp_path: Path, case: str) -> None:
    members, words = HOSTILE[case]
    write_tar(tmp_path / "x.tar", *members)
    with pytest.raises(WorkFailed, match=words):
        unpack_folder(tmp_path / "x.tar", tmp_path / "in" / "folder")


def test_a_cut_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_bytes(b"1" * 5000)
    pack_folder(tmp_path / "x", tmp_path / "x.tar")
    data = (tmp_path / "x.tar").read_bytes()
    (tmp_path / "x.tar").write_bytes(data[:3000])
    with pytest.raises(WorkFailed, match="is not a source tree: "):
        unpack_folder(tmp_path / "x.tar", tmp_path / "y")


def test_a_pipe_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / "pipe")
    with pytest.raises(WorkFailed, match="x/pipe is a pipe or a device"):
        pack_folder(tmp_path / "x", tmp_path / "x.tar")
