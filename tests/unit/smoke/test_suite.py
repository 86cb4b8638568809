import itertools
import sys
from collections import Counter
from pathlib import Path

from build.image.layout import open_layout
from build.recipe.model import Family
from build.smoke.model import Expectations, Outcome
from build.smoke.static.image import StaticCheck, StaticImage, Verdict
from build.smoke.static.suite import CHECKS, PYTHON, names_of, run_static
from tests.layouts import Tree, hardlink, symlink, write_layout
from tests.unit.smoke.samples import EXPECT, results


def test_the_good_image_passes_every_check(tmp_path: Path) -> None:
    found = results(tmp_path)
    assert tuple(found) == names_of(Family.LLAMA_CPP)
    assert {name: check.reason for name, check in found.items() if check.outcome is not Outcome.PASSED} == {}
    detail = dict(found["layout"].detail)
    largest = detail.pop("largest")
    assert detail == {"entries": 23, "layers": 3, "elf_files": 6}
    assert largest[0]["path"].startswith("/")
    sizes = [one["bytes"] for one in largest]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 12


def test_the_largest_files_are_named_once_and_as_a_container_sees_them(tmp_path: Path) -> None:
    layers: list[Tree] = [
        {"big": b"b" * 900, "same": hardlink("big"), "hidden": b"h" * 999, "bad\x1b": b"x" * 500},
        {"hidden": b"", "late": b"l" * 700, "link": symlink("big")},
    ]
    first, *_ = run_static(open_layout(write_layout(tmp_path, layers)), EXPECT, checks=())
    assert first.detail["largest"] == [
        {"path": "/big", "bytes": 900, "layer": 0},
        {"path": "/late", "bytes": 700, "layer": 1},
        {"path": "/bad\\x1b", "bytes": 500, "layer": 0},
    ]


def test_each_layer_is_opened_once(tmp_path: Path) -> None:
    opened: Counter[str] = Counter()

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[0], str):
            opened[args[0]] += 1

    results(tmp_path)
    layout = open_layout(tmp_path / "image")
    sys.addaudithook(hook)  # cannot be taken off again; it only counts
    run_static(layout, EXPECT)
    folder = tmp_path / "image" / "blobs" / "sha256"
    assert [opened[str(folder / layer.digest.hex)] for layer in layout.layers] == [1, 1, 1]


def test_names_and_sentences() -> None:
    compiled = (
        "layout", "closure", "driver_boundary", "link_facts", "gpu_code", "labels", "user", "links", "residue", "timestamps",
    )  # fmt: skip
    assert names_of(Family.LLAMA_CPP) == compiled
    assert names_of(Family.PYTHON) == (*compiled, "platform_plugin", "patches")
    assert all(check.protects.endswith(".") for check in (*CHECKS, *PYTHON))


def test_a_broken_layout_is_a_failed_check_and_skips_the_others(tmp_path: Path) -> None:
    layout = open_layout(write_layout(tmp_path, [{"a": b"one"}], how=""))
    blob = tmp_path / "blobs" / "sha256" / layout.layers[0].digest.hex
    blob.write_bytes(blob.read_bytes().replace(b"one", b"two"))
    first, *others = run_static(layout, EXPECT)
    assert (first.name, first.outcome) == ("layout", Outcome.FAILED)
    assert first.reason.startswith(f"{tmp_path}: layer {layout.layers[0].digest} has the digest sha256:")
    assert {check.outcome for check in others} == {Outcome.SKIPPED}
    assert {check.reason for check in others} == {"the layout cannot be read"}


def test_a_check_that_breaks_is_a_failed_check(tmp_path: Path) -> None:
    def breaks(_image: StaticImage, _expect: Expectations) -> Verdict:
        raise RuntimeError

    layout = open_layout(write_layout(tmp_path, [{"a": b"1"}]))
    ticks = itertools.count()
    (_, check) = run_static(
        layout,
        EXPECT,
        checks=(StaticCheck(name="x", protects=".", run=breaks),),
        clock=lambda: float(next(ticks)),
    )
    assert (check.outcome, check.reason) == (Outcome.FAILED, "the check itself failed: RuntimeError: ")
    assert check.seconds == 1.0
