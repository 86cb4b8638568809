"""What the benchmarks found, as the table on the screen and as the page in docs/. Pure."""

import statistics
from dataclasses import dataclass

from build.bench.pipeline.machine import Machine
from build.bench.pipeline.ratio import Ratio
from build.doors.console import markdown_table
from build.errors import BadRequest

__all__ = ["HEADER", "Found", "paged", "rows"]

HEADER = ("name", "what", "ratio", "at most", "ours, s", "theirs, s", "peak")
_HOW = ("kernels", "runs", "load", "day", "machine")
_BEGIN, _END = "<!-- figures: written by `nox -s benchmarks -- --write` -->\n", "<!-- end of figures -->\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One run of the benchmarks."""

    at: str
    """The day."""
    before: Machine
    after: Machine
    kernels: int
    runs: int
    ratios: tuple[Ratio, ...]
    unmeasured: tuple[str, ...] = ()
    """Names of comparisons that broke."""


def rows(ratios: tuple[Ratio, ...]) -> tuple[tuple[str, ...], ...]:
    """Lay out the table. Times are medians."""
    return tuple(
        (
            one.name,
            one.title,
            f"{one.value:.3f}{'' if one.held else ' (missed)'}",
            f"{one.limit:.3f}",
            f"{statistics.median(one.ours):.2f}",
            f"{statistics.median(one.theirs):.2f}",
            f"{one.peak_mib} MiB" if one.peak_mib else "-",
        )
        for one in ratios
    )


def paged(text: str, found: Found) -> str:
    """Put the figures into the page; a line of another comparison stays, and says on which machine it was measured.

    Raises:
        BadRequest: the page has no place for them.
    """
    before, begin, rest = text.partition(_BEGIN)
    old, end, after = rest.partition(_END)
    if not (begin and end):
        message = f"docs/benchmarks.md has no lines {_BEGIN.strip()} and {_END.strip()}"
        raise BadRequest(message, hint="git checkout docs/benchmarks.md")
    machine = found.before
    here = f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}"
    said = (
        "Medians of runs by turns, both sides of a ratio on the machine of its line; load is that machine's when the run "
        "began and when it ended (the benchmarks themselves make about one for each core).\n\n"
    )
    # The cells are ours: no title has a bar in it.
    lines = [tuple(line.strip("| ").split(" | ")) for line in old.splitlines() if line.startswith("|")][2:]
    table = {line[0]: line for line in lines}
    how = (str(found.kernels), str(found.runs), f"{machine.load:g} to {found.after.load:g}", found.at, here)
    table |= {line[0]: (*line, *how) for line in rows(found.ratios)}
    figures = markdown_table("Figures", (*HEADER, *_HOW), tuple(table.values()))
    return f"{before}{begin}{said}{figures}{end}{after}"
