"""Two images side by side, one fact changed at a time; what is not known is said."""

from dataclasses import replace
from typing import Any

import pytest

from build.doors.between import Between, LogLine
from build.image.model import Layer
from build.recipe.refs import Digest
from build.report.compare import compare
from build.report.difference import Area, Change, Kind
from build.report.facts import ImageFacts, Kernels, Missing, SourceFacts
from build.smoke.clihelp import HelpFlag
from tests.unit.report.images import FACTS

assert isinstance(FACTS.source, SourceFacts)
SOURCE: SourceFacts = FACTS.source
OTHER = replace(SOURCE, commit="b" * 40)
AREAS = ("source", "patches", "toolchain", "pinned", "flags", "kernels", "layers", "labels")


def layer(number: int, *, size: int = 1_000_000, what: str = "", diff_id: int = 0) -> Layer:
    name = Digest(f"sha256:{number:064x}")
    return Layer(
        digest=name,
        diff_id=Digest(f"sha256:{diff_id or number:064x}"),
        size=size,
        what=what or f"COPY {number}",
    )


def only(left: ImageFacts, right: ImageFacts, **others: Any) -> list[tuple[Area, str, Kind, str, str]]:
    changes = compare(left, right, **others).changes
    return [(one.area, one.name, one.kind, one.before, one.after) for one in changes]


def test_an_image_does_not_differ_from_itself() -> None:
    difference = compare(FACTS, FACTS)
    assert (difference.left, difference.right, difference.changes, difference.unknown) == (
        "mini",
        "mini",
        (),
        (),
    )
    assert difference.same == (
        f"upstream: commit {'a' * 40}",
        "patches: all 1",
        "toolchain: CUDA 13.0, architectures 120a-real",
        "locks and packages: all 2",
        "flags: all 1",
        "kernels: all 1 library",
        "size: 0.0 MB",
        "labels: all 1",
    )


@pytest.mark.parametrize(
    ("field", "value", "changes"),
    [
        ("patches", (), [(Area.PATCHES, "mini/0001-a.patch", Kind.GONE, "4" * 12, "")]),
        (
            "patches",
            (("mini/0001-a.patch", "5" * 12), ("mini/0002-b.patch", "6" * 12)),
            [
                (Area.PATCHES, "mini/0001-a.patch", Kind.CHANGED, "4" * 12, "5" * 12),
                (Area.PATCHES, "mini/0002-b.patch", Kind.NEW, "", "6" * 12),
            ],
        ),
        (
            "toolchain",
            (("CUDA", "13.1"), ("architectures", "120a-real")),
            [(Area.TOOLCHAIN, "CUDA", Kind.CHANGED, "13.0", "13.1")],
        ),
        (
            "pinned",
            (("toolchain lock", "5" * 12), ("base package bash", "5.3"), ("base package curl", "8")),
            [
                (Area.TOOLCHAIN, "base package bash", Kind.CHANGED, "5.2", "5.3"),
                (Area.TOOLCHAIN, "base package curl", Kind.NEW, "", "8"),
            ],
        ),
        ("flags", (), [(Area.FLAGS, "--ctx-size", Kind.GONE, "-c, --ctx-size N", "")]),
        (
            "kernels",
            (Kernels(library="/app/libmini-cuda.so.0.1.0", identity="8" * 64, targets=("SASS sm_120",)),),
            [
                (Area.KERNELS, "/app/libmini-cuda.so", Kind.CHANGED, "SASS sm_120a 999999999999", "SASS sm_120 888888888888"),
            ],
        ),
        ("kernels", (), [(Area.KERNELS, "/app/libmini-cuda.so", Kind.GONE, "SASS sm_120a 999999999999", "")]),
        ("labels", (("ingot.recipe", "maxi"),), [(Area.LABELS, "ingot.recipe", Kind.CHANGED, "mini", "maxi")]),
        (
            "source",
            replace(SOURCE, version="b43", submodules=()),
            [
                (Area.UPSTREAM, "version", Kind.CHANGED, "b42", "b43"),
                (Area.UPSTREAM, "submodule vendor/x", Kind.GONE, "3" * 40, ""),
            ],
        ),
        ("source", replace(SOURCE, submodules=None), []),
    ],
)  # fmt: skip
def test_one_fact(field: str, value: Any, changes: list[tuple[Area, str, Kind, str, str]]) -> None:
    assert only(FACTS, replace(FACTS, **{field: value})) == changes


def test_a_library_of_another_version_is_the_same_library() -> None:
    (before,) = FACTS.kernels if not isinstance(FACTS.kernels, Missing) else ()
    after = replace(FACTS, kernels=(replace(before, library="/app/libmini-cuda.so.0.2"),))
    difference = compare(FACTS, after)
    assert difference.changes == ()
    assert "kernels: all 1 library" in difference.same


def test_two_versions_of_one_library_are_kept_apart() -> None:
    kernels = tuple(Kernels(library=f"/app/liba.so.{number}", identity=f"{number}" * 64) for number in (1, 2))
    changed = (kernels[0], replace(kernels[1], identity="7" * 64))
    found = only(replace(FACTS, kernels=kernels), replace(FACTS, kernels=changed))
    assert [(name, kind) for _, name, kind, _, _ in found] == [("/app/liba.so.2", Kind.CHANGED)]


def test_patches_in_another_order() -> None:
    patches = (("a", "1"), ("b", "2"))
    found = only(replace(FACTS, patches=patches), replace(FACTS, patches=patches[::-1]))
    assert found == [(Area.PATCHES, "order", Kind.CHANGED, "a, b", "b, a")]


def test_layers_shared_changed_new_and_repacked() -> None:
    left = replace(
        FACTS, layers=(layer(1), layer(2, what="COPY kernels"), layer(3, what="COPY server", diff_id=9))
    )
    right = replace(
        FACTS,
        layers=(
            layer(1),
            layer(4, what="COPY kernels", size=2_500_000),
            layer(5, what="COPY server", diff_id=9),
            layer(6),
        ),
    )
    difference = compare(left, right)
    kernels, server, new, size = difference.changes
    assert kernels == Change(
        area=Area.LAYERS, name="COPY kernels", kind=Kind.CHANGED,
        before="sha256:000000000000 1.0 MB", after="sha256:000000000000 2.5 MB",
    )  # fmt: skip
    assert server.after == "sha256:000000000000 1.0 MB (the same files, packed differently)"
    assert (new.name, new.kind) == ("COPY 6", Kind.NEW)
    assert size == Change(
        area=Area.SIZE,
        name="compressed",
        kind=Kind.CHANGED,
        before="3.0 MB",
        after="5.5 MB (+2.5 MB, +2500000 bytes)",
    )
    assert "layers: 1 of 4 (1.0 MB)" in difference.same


def test_the_upstream_log() -> None:
    log = Between(
        gained=(LogLine(commit="bbbbbbb", subject="server: add a flag"),),
        lost=(LogLine(commit="aaaaaaa", subject="wip"),),
    )
    assert only(FACTS, replace(FACTS, source=OTHER), log=log) == [
        (Area.UPSTREAM, "commit", Kind.CHANGED, "a" * 40, "b" * 40),
        (Area.UPSTREAM, "bbbbbbb", Kind.NEW, "", "server: add a flag"),
        (Area.UPSTREAM, "aaaaaaa", Kind.GONE, "wip", ""),
    ]


def test_a_long_log_is_cut_and_says_so() -> None:
    log = Between(gained=tuple(LogLine(commit=f"{number:07x}", subject="x") for number in range(250)))
    difference = compare(FACTS, replace(FACTS, source=OTHER), log=log)
    assert len(difference.changes) == 201
    assert difference.unknown == ("upstream log: 50 further commits are left out",)


@pytest.mark.parametrize(
    ("source", "log", "said"),
    [
        (OTHER, None, "upstream log: nobody asked the mirror"),
        (OTHER, Missing(reason="no mirror"), "upstream log: no mirror"),
        (
            replace(OTHER, url="https://other"),
            Between(),
            "upstream log: the sources are of different repositories",
        ),
    ],
)
def test_no_log_has_its_reason(source: SourceFacts, log: Between | Missing | None, said: str) -> None:
    assert compare(FACTS, replace(FACTS, source=source), log=log).unknown == (said,)


@pytest.mark.parametrize("field", AREAS)
def test_what_is_not_known_is_said_and_never_called_a_change(field: str) -> None:
    missing: dict[str, Any] = {field: Missing(reason="it was not built")}
    lacking = replace(FACTS, **missing)
    for sides, which in (
        ((FACTS, lacking), "right"),
        ((lacking, FACTS), "left"),
        ((lacking, lacking), "both sides"),
    ):
        difference = compare(*sides)
        assert difference.changes == ()
        (said,) = difference.unknown
        assert said.endswith(f": not known of {which}: it was not built")


def test_areas_are_in_the_order_in_which_people_read_them() -> None:
    other = replace(
        FACTS, source=OTHER, patches=(), toolchain=(), flags=(HelpFlag(spellings=("--x",)),), kernels=(), layers=(layer(1),),
        labels=(),
    )  # fmt: skip
    areas = [change.area for change in compare(FACTS, other, log=Between()).changes]
    assert areas == sorted(areas, key=list(Area).index)
    assert set(areas) == {
        Area.UPSTREAM, Area.PATCHES, Area.TOOLCHAIN, Area.FLAGS, Area.KERNELS, Area.LAYERS, Area.SIZE, Area.LABELS,
    }  # fmt: skip
