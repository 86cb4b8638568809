"""Two helps side by side: every kind of change, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from build.report.commands import compare_flags
from build.report.difference import Area, Change, Kind
from build.smoke.clihelp import HelpFlag, parse_help

DATA = Path(__file__).parents[2] / "data" / "help"
LLAMA = parse_help((DATA / "llama-cpp-af6528e6.txt").read_text())
MINI = parse_help((DATA / "minifork.txt").read_text())

DRAFT = HelpFlag(
    spellings=("--draft", "--draft-max"), value="N", default="16", env="ARG_DRAFT", text="tokens"
)
FLASH = HelpFlag(spellings=("-fa", "--flash-attn"), default="disabled", text="enable it")
TYPES = HelpFlag(spellings=("--spec-type",), value="a,b", values=("a", "b"), default="a")
REMOVED = replace(DRAFT, default=None, removed=True, text="the argument has been removed. use --spec-n-max")


@pytest.mark.parametrize("flags", [(), LLAMA, MINI], ids=["none", "llama.cpp", "minifork"])
def test_a_help_does_not_differ_from_itself(flags: tuple[HelpFlag, ...]) -> None:
    part = compare_flags(flags, flags)
    assert part.changes == ()
    assert part.same == ((f"flags: all {len(flags)}",) if flags else ())


def change(area: Area, name: str, kind: Kind, before: str = "", after: str = "") -> Change:
    return Change(area=area, name=name, kind=kind, before=before, after=after)


@pytest.mark.parametrize(
    ("left", "right", "changes"),
    [
        ((DRAFT,), (), [change(Area.FLAGS, "--draft", Kind.GONE, before="--draft, --draft-max N")]),
        ((), (DRAFT,), [change(Area.FLAGS, "--draft", Kind.NEW, after="--draft, --draft-max N")]),
        (
            (DRAFT,),
            (replace(DRAFT, spellings=("--draft-max", "--draft-n")),),
            [
                change(Area.FLAGS, "--draft", Kind.GONE, "--draft, --draft-max N", "--draft-max, --draft-n N"),
                change(Area.FLAGS, "--draft-n", Kind.NEW, "--draft, --draft-max N", "--draft-max, --draft-n N"),
            ],
        ),
        (
            (DRAFT,),
            (REMOVED,),
            [
                change(Area.FLAGS, "--draft", Kind.GONE, "--draft, --draft-max N",
                       "listed, but the argument has been removed. use --spec-n-max"),
            ],
        ),
        (
            (REMOVED,),
            (DRAFT,),
            [
                change(Area.FLAGS, "--draft", Kind.NEW,
                       "listed, but the argument has been removed. use --spec-n-max", "--draft, --draft-max N"),
            ],
        ),
        ((REMOVED,), (replace(REMOVED, text="the argument has been removed."),), []),
        (
            (DRAFT,),
            (replace(DRAFT, env="ARG_N"),),
            [
                change(Area.FLAGS, "ARG_DRAFT", Kind.GONE, before="sets --draft"),
                change(Area.FLAGS, "ARG_N", Kind.NEW, after="sets --draft"),
            ],
        ),
        ((DRAFT,), (replace(DRAFT, default="4"),), [change(Area.DEFAULTS, "--draft", Kind.CHANGED, "16", "4")]),
        ((DRAFT,), (replace(DRAFT, default=None),), [change(Area.DEFAULTS, "--draft", Kind.CHANGED, "16", "none said")]),
        ((DRAFT,), (replace(DRAFT, default=""),), [change(Area.DEFAULTS, "--draft", Kind.CHANGED, "16", '""')]),
        ((DRAFT,), (replace(DRAFT, text="other words"),), []),
        (
            (TYPES,),
            (replace(TYPES, value="b,c", values=("b", "c"), default="b"),),
            [
                change(Area.VALUES, "--spec-type", Kind.GONE, before="a"),
                change(Area.VALUES, "--spec-type", Kind.NEW, after="c"),
                change(Area.DEFAULTS, "--spec-type", Kind.CHANGED, "a", "b"),
            ],
        ),
        ((TYPES,), (replace(TYPES, value="b,a", values=("b", "a")),), []),
        (
            (FLASH,),
            (replace(FLASH, value="[on|off]", values=("on", "off")),),
            [change(Area.VALUES, "--flash-attn", Kind.CHANGED, "no value", "[on|off]")],
        ),
        (
            (replace(FLASH, value="TYPE", values=("x", "y")),),
            (replace(FLASH, value="N"),),
            [change(Area.VALUES, "--flash-attn", Kind.CHANGED, "TYPE: x, y", "N")],
        ),
    ],
)  # fmt: skip
def test_one_change(left: tuple[HelpFlag, ...], right: tuple[HelpFlag, ...], changes: list[Change]) -> None:
    part = compare_flags((*left, MINI[0]), (*right, MINI[0]))
    assert list(part.changes) == changes
    total = 1 + max(len(left), len(right))
    equal = total if not changes else total - 1
    assert part.same == (f"flags: {'all' if equal == total else f'{equal} of'} {total}",)


def test_a_flag_that_was_split_in_two_is_neither_gone_nor_new() -> None:
    whole = HelpFlag(spellings=("--mmap", "--no-mmap"), default="enabled")
    halves = (
        HelpFlag(spellings=("--mmap",), default="enabled"),
        HelpFlag(spellings=("--no-mmap",), default="enabled"),
    )
    assert compare_flags((whole,), halves).changes == ()
    assert compare_flags(halves, (whole,)).changes == ()


def test_llama_cpp_and_the_sample_share_flags() -> None:
    part = compare_flags(MINI, LLAMA)
    assert {one.name for one in part.changes if one.kind is Kind.GONE and one.area is Area.FLAGS} >= {
        "--load-delay-ms", "--degrade", "MINI_ARG_HOST",
    }  # fmt: skip
    assert change(Area.DEFAULTS, "--ctx-size", Kind.CHANGED, "4096", "0") in part.changes
    assert change(Area.VALUES, "--spec-type", Kind.GONE, before="draft-mini") in part.changes
    assert change(Area.VALUES, "--cache-type-k", Kind.NEW, after="bf16") in part.changes
