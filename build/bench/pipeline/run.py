"""`nox -s benchmarks`: the table of comparisons, and the run over those that were asked for. Wires the others."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from build.bench.pipeline.compiled import Compiled
from build.bench.pipeline.ground import Ground
from build.bench.pipeline.machine import Machine, machine
from build.bench.pipeline.page import HEADER, Found, paged, rows
from build.bench.pipeline.pushed import Pushed
from build.bench.pipeline.ratio import Comparison, Ratio, compare, groups, missed
from build.bench.pipeline.staticchecks import StaticChecks
from build.bench.pipeline.together import Together
from build.bench.pipeline.unchanged import Unchanged
from build.bench.pipeline.watched import Watched
from build.doors import store
from build.doors.effects import Reporter
from build.errors import BadRequest
from build.settings import Settings

__all__ = ["Asked", "benchmarks", "chosen", "measure"]

_PAGE = "docs/benchmarks.md"
_MOST_KERNELS = 256
"""The sample's own limit."""
_WITHOUT_ENGINE = frozenset({"static", "watch"})
_LEAST_RUNS = 3
"""Of a figure that is shown to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for."""

    names: tuple[str, ...] = ()
    """None: all."""
    runs: int = 3
    kernels: int = 224
    write: bool = False
    """Put the figures into the page in docs/."""


def _table(ground: Ground) -> tuple[Comparison, ...]:
    """Every comparison: name, what it says, ours, theirs, limit. A new one is a line here, and its sides."""
    unchanged, compiled, together = Unchanged(ground=ground), Compiled(ground=ground), Together(ground=ground)
    pushed, static, watched = Pushed(ground=ground), StaticChecks(ground=ground), Watched(ground=ground)
    one_kernel = 1 / ground.kernels + 0.05
    lines = (
        ("noop", "nothing to do / bare bake with nothing to do", unchanged.ours, unchanged.bake, 0.5),
        ("cold", "cold build / cmake and ninja alone", compiled.cold, compiled.raw, 1.05),
        ("bake", "cold build / bare bake", compiled.cold, compiled.bake, 1.15),
        ("warm", "layers gone, compile cache kept / cold build", compiled.warm, compiled.cold, 0.05),
        ("kernel", "one kernel changed / cold build", compiled.kernel, compiled.cold, one_kernel),
        ("resumed", "interrupted at half and resumed / cold build", compiled.resumed, compiled.cold, 1.1),
        ("together", "three recipes / cmake and ninja for each", together.ours, together.apart, 1.1),
        ("push-again", "push of an unchanged image / first push", pushed.again, pushed.first, 1.0),
        ("push-server", "push after a change of the server / first push", pushed.server, pushed.first, 1.0),
        ("static", f"static checks of {static.image} / reading it once", static.checks, static.unpack, 4.0),
        ("watch", "watch of 100 upstreams / the slowest of them", watched.ours, watched.slowest, 1.5),
    )
    return tuple(
        Comparison(name=name, title=title, ours=ours, theirs=theirs, limit=limit)
        for name, title, ours, theirs, limit in lines
    )


def chosen(table: tuple[Comparison, ...], names: tuple[str, ...]) -> tuple[Comparison, ...]:
    """Choose comparisons by name, in the table's order. Raises BadRequest for a name that is not in it."""
    known = tuple(one.name for one in table)
    if unknown := [name for name in names if name not in known]:
        message = f"there is no benchmark called {', '.join(unknown)}"
        raise BadRequest(message, hint=f"benchmarks: {', '.join(known)}")
    return tuple(one for one in table if not names or one.name in names)


def benchmarks(asked: Asked, settings: Settings, reporter: Reporter) -> Found:
    """Measure.

    Raises:
        BadRequest: a name that is unknown, a number of kernels that the sample cannot have, too few runs for the page.
        WorkFailed: a ratio is over its limit, or could not be measured; the answer goes with the error.
    """
    if not 1 <= asked.kernels <= _MOST_KERNELS:
        message = f"the sample cannot have {asked.kernels} kernel files"
        raise BadRequest(message, hint=f"--kernels takes 1 to {_MOST_KERNELS}")
    if asked.write and asked.runs < _LEAST_RUNS:
        message = f"{asked.runs} runs have no median to show"
        raise BadRequest(message, hint=f"--write takes --runs {_LEAST_RUNS} at least")
    ground = Ground(user=settings, reporter=reporter, kernels=asked.kernels)
    wanted = chosen(_table(ground), asked.names)
    engine = any(one.name not in _WITHOUT_ENGINE for one in wanted)
    return measure(wanted, asked, settings, reporter, prepared=partial(ground.prepared, engine=engine))


def measure(
    comparisons: tuple[Comparison, ...],
    asked: Asked,
    settings: Settings,
    reporter: Reporter,
    *,
    prepared: Callable[[], AbstractContextManager[None]],
) -> Found:
    """Run comparisons on what `prepared` holds ready for the time, show them, and put them into the page if that was asked.

    Raises:
        WorkFailed: as `benchmarks` does.
    """
    before, page = machine(), settings.root / _PAGE
    ratios, unmeasured = list[Ratio](), list[str]()

    def found(before: Machine, ratios: Sequence[Ratio]) -> Found:
        return Found(
            at=f"{datetime.now(UTC):%Y-%m-%d}",
            before=before,
            after=machine(),
            kernels=asked.kernels,
            runs=asked.runs,
            ratios=tuple(ratios),
            unmeasured=tuple(unmeasured),
        )

    with prepared():
        for group in groups(comparisons):
            here = machine()
            names = ", ".join(one.name for one in group)
            with reporter.step(f"{names}: {asked.runs} runs by turns") as step:
                made = compare(group, runs=asked.runs, said=step.update)
                step.verdict(" ".join(f"{one.value:.3f}" for one in made.ratios) or "not measured")
            for name, error in made.broken.items():
                reporter.error(f"{name}: {error.message}", error.hint)
            ratios += made.ratios
            unmeasured += made.broken
            # Each group takes long: who interrupts a later one keeps what is measured.
            if asked.write and made.ratios:
                store.write_text(page, paged(page.read_text(encoding="utf-8"), found(here, made.ratios)))
    answer = found(before, ratios)
    reporter.summary("benchmarks", HEADER, rows(answer.ratios))
    if failed := missed(answer.ratios, answer.unmeasured, answer):
        raise failed
    return answer
