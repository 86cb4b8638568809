"""A bundle is built with nothing of this checkout's own, and what is varied changes nothing that is built."""

import re
from functools import partial
from pathlib import Path

import pytest

from build.errors import BadRequest, WorkFailed
from build.settings import from_env
from build.verify.rebuild import How, rebuild
from build.wiring import Wiring
from tests.fakes import FakeBuilder, RecordingReporter
from tests.layouts import write_layout
from tests.unit.host.test_platforms import BUILDER, HANDLE, ON_ARM, Says
from tests.unit.publish.bundles import PATCH, planned

pytestmark = pytest.mark.processes


def recording() -> FakeBuilder:
    return FakeBuilder(writes=lambda _target, folder: write_layout(folder, [{"a": b"1"}]))


@pytest.mark.parametrize(
    ("how", "options"),
    [
        (How(), ()),
        (How(compile_cache=False), ("--set", "mini.args.CCACHE_DISABLE=1")),
        (How(layer_cache=False), ()),
    ],
)
def test_what_is_asked_of_bake(tmp_path: Path, how: How, options: tuple[str, ...]) -> None:
    bundle = planned(tmp_path, PATCH).gather(tmp_path / "bundle")
    builder, asked = recording(), list[str]()
    material, built = rebuild(
        bundle, tmp_path / "into", how, builder=builder, reporter=RecordingReporter(), engine={"engine": "1"},
        before_compilers=asked.append,
    )  # fmt: skip
    assert asked == ["linux/amd64"]
    assert builder.calls == [("mini",)]
    assert builder.options[2:] == ["--set", "mini.args.BUILDPLATFORM=linux/amd64", *options]
    assert not any("cache-from" in word for word in builder.options), "layers of others prove nothing"
    assert built.layer_cache == ""
    assert built.engine == {"buildx": "0.0-fake", "engine": "1", "build platform": "linux/amd64"}
    assert (material.out / "image" / "index.json").is_file()
    assert (material.out / "Dockerfile").read_text() == dict(material.plan.files)["Dockerfile"]


def scripts(tmp_path: Path, name: str, how: How) -> dict[str, str]:
    material, _ = rebuild(
        tmp_path / "bundle",
        tmp_path / name,
        how,
        builder=recording(),
        reporter=RecordingReporter(),
        engine={},
        before_compilers=print,
    )
    return {path.name: path.read_text() for path in (material.out / "context" / "scripts").glob("*.sh")}


def test_without_the_layer_cache_every_script_is_one_that_was_never_run(tmp_path: Path) -> None:
    planned(tmp_path).gather(tmp_path / "bundle")
    plain = scripts(tmp_path, "plain", How())
    assert {"probe.sh", "compile.sh", "collect.sh"} <= set(plain)
    one, other = (scripts(tmp_path, name, How(layer_cache=False)) for name in ("one", "other"))
    for name, text in plain.items():
        added = {one[name].removeprefix(text), other[name].removeprefix(text)}
        assert len(added) == 2
        assert all(re.fullmatch(r"# [0-9a-f]{32}\n", line) for line in added), added


def test_steps_that_cannot_be_made_new_are_not_taken_for_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path).gather(tmp_path / "bundle")
    monkeypatch.setattr("build.verify.rebuild.write_rendered", lambda _plan, _out: None)
    with pytest.raises(WorkFailed, match="has no script, so no step of this bundle can be made to run anew"):
        scripts(tmp_path, "none", How(layer_cache=False))


def distinct_times(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return len({path.stat().st_mtime_ns for path in files})


def test_file_times_move_and_are_never_of_the_future(tmp_path: Path) -> None:
    """ninja configures for ever when a file is younger than now."""
    bundle = planned(tmp_path).gather(tmp_path / "bundle")
    plain, moved = (
        rebuild(
            bundle, tmp_path / str(shift), How(shift_s=shift), builder=recording(), reporter=RecordingReporter(), engine={},
            before_compilers=print,
        )[0]
        for shift in (0, 1000)
    )  # fmt: skip
    for one, other in ((plain.source, moved.source), (plain.out / "context", moved.out / "context")):
        for path in one.rglob("*"):
            times = [folder.lstat().st_mtime for folder in (path, other / path.relative_to(one))]
            assert abs(times[1] - times[0]) > 900
            assert times[1] < tmp_path.stat().st_mtime + 1
    assert distinct_times(moved.source) == distinct_times(plain.source) > 1, (
        "files that differ have times that do"
    )


def test_a_bundle_that_was_changed_is_not_built(tmp_path: Path) -> None:
    bundle = planned(tmp_path, PATCH).gather(tmp_path / "bundle")
    (bundle / "patches" / PATCH).write_text("nothing")
    builder = recording()
    with pytest.raises(WorkFailed, match="the pin says"):
        rebuild(
            bundle, tmp_path / "into", How(), builder=builder, reporter=RecordingReporter(), engine={},
            before_compilers=print,
        )  # fmt: skip
    assert builder.calls == []


def test_a_bundle_whose_compilers_would_be_emulated_is_not_built(tmp_path: Path) -> None:
    bundle = planned(tmp_path, PATCH).gather(tmp_path / "bundle")
    settings = from_env({"INGOT_BUILD_PLATFORM": "linux/arm64"}, tmp_path)
    wiring = Wiring(settings=settings, reporter=RecordingReporter())
    vars(wiring).update(engine=HANDLE, containers=Says(ON_ARM), buildx=Says(BUILDER))
    builder = recording()
    with pytest.raises(
        BadRequest, match="compile stages for linux/amd64 are emulated on linux/arm64"
    ) as caught:
        rebuild(
            bundle, tmp_path / "into", How(), builder=builder, reporter=RecordingReporter(), engine={},
            before_compilers=partial(wiring.refuse_emulated, mend="build it elsewhere"),
        )  # fmt: skip
    assert caught.value.hint == "build it elsewhere; INGOT_EMULATE=1 compiles all the same"
    assert builder.calls == []
