"""The watch over a container: bounded whatever is printed, and the end of it at its limits."""

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from build.doors.watch import Sample, Watch, sample_of


class Container:
    """Prints until it is killed, as an endless writer does; what it printed last comes after the kill."""

    def __init__(self, *frames: tuple[bytes | None, bytes | None], endless: bool = False) -> None:
        self.frames = frames
        self.endless = endless
        self.kills = 0
        self.killed = threading.Event()

    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        yield from self.frames
        while self.endless and not self.killed.is_set():
            yield self.frames[-1]
            time.sleep(0.001)

    def kill(self) -> None:
        self.kills += 1
        self.killed.set()


def watch(container: Container, *, limit: int = 100, life_s: float = 60, **others: Any) -> Watch:
    made = Watch(
        frames=container,
        limit=limit,
        life_s=life_s,
        kill=container.kill,
        sample=others.pop("sample", lambda: None),
        **others,
    )
    made.begin()
    return made


def test_both_streams_are_kept_apart_and_in_order() -> None:
    made = watch(Container((b"a\n", None), (None, b"b\n"), (b"c\xff\n", None)))
    assert made.drained(5)
    assert made.text(stdout=True, stderr=False) == "a\nc\ufffd\n"
    assert made.text(stdout=False, stderr=True) == "b\n"
    assert made.text(stdout=True, stderr=True) == "a\nb\nc\ufffd\n"
    assert made.printed == 7
    assert not made.flooded
    assert made.end(5)


def test_an_endless_writer_is_killed_and_costs_no_more_memory_than_its_limit() -> None:
    container = Container((b"x" * 64, None), endless=True)
    made = watch(container, limit=1000)
    assert made.drained(5)
    assert container.killed.is_set()
    assert made.flooded
    assert made.printed > 1000
    assert len(made.text(stdout=True, stderr=True)) == len(made.text(stdout=True, stderr=False)) == 1000
    assert made.end(5)


def test_exactly_the_limit_is_allowed() -> None:
    container = Container((b"x" * 100, None))
    made = watch(container)
    assert made.drained(5)
    assert made.end(5)
    assert not made.flooded
    assert container.kills == 0


def test_a_stream_that_breaks_is_no_end_of_it() -> None:
    class Breaks(Container):
        def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
            yield from self.frames
            raise ConnectionResetError(104, "Connection reset by peer")

    container = Breaks((b"half a li", None))
    made = watch(container)
    assert made.drained(5)
    assert container.killed.wait(5), "nobody counts what it prints any more"
    assert made.text(stdout=True, stderr=True) == "half a li"
    assert str(made.broken) == "[Errno 104] Connection reset by peer"
    assert made.end(5)
    assert watch(Container((b"x", None))).broken is None


def test_a_life_that_has_no_end() -> None:
    made = watch(Container(), life_s=math.inf, clock=lambda: 1e12)
    assert made.end(5)
    assert not made.expired


def test_a_life_that_is_too_long_is_ended() -> None:
    container = Container((b"x", None), endless=True)
    made = watch(container, limit=1 << 20, life_s=0.01)
    assert made.drained(5)
    assert made.expired
    assert not made.flooded
    assert made.end(5)


def test_the_most_of_all_samples_is_kept() -> None:
    samples = iter([Sample(memory=5, peak=None, processes=3), None, Sample(memory=2, peak=None, processes=1)])
    made = watch(Container(), sample=lambda: next(samples))
    assert made.end(5)
    for _ in range(3):
        made.look()
    assert (made.memory, made.processes, made.measured) == (5, 3, False)


def test_the_kernels_own_maximum_counts() -> None:
    made = watch(Container(), sample=lambda: Sample(memory=5, peak=9, processes=1))
    assert made.end(5)
    made.look()
    assert (made.memory, made.measured) == (9, True)


V1 = {
    "memory_stats": {"usage": 900, "max_usage": 1500, "stats": {"total_inactive_file": 300}},
    "pids_stats": {"current": 4, "limit": 256},
}
V2 = {"memory_stats": {"usage": 900, "stats": {"inactive_file": 400}}, "pids_stats": {"current": 4}}


@pytest.mark.parametrize(
    ("said", "sample"),
    [
        (V1, Sample(memory=600, peak=1500, processes=4)),
        (V2, Sample(memory=500, peak=None, processes=4)),
        ({"memory_stats": {}, "pids_stats": {}}, None),
        ({}, None),
    ],
)
def test_statistics_of_both_kinds_of_engine(said: dict[str, Any], sample: Sample | None) -> None:
    assert sample_of(said) == sample
