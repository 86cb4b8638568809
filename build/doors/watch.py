"""Follows a running container from beside: keeps what it prints, counts what it uses, ends it at its limits.

Knows no engine: it is handed the stream, and what to call. Two threads, so that nobody need wait for a container to have
it watched; memory stays bounded however much is printed.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Sample", "Watch", "sample_of"]

_EVERY_S = 0.5

Frame = tuple[bytes | None, bytes | None]
"""A piece of stdout or of stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a container uses at one moment."""

    memory: int
    peak: int | None
    """The most memory so far by the kernel's own count, where it keeps one."""
    processes: int


def sample_of(said: dict[str, Any]) -> Sample | None:
    """Read an engine's statistics; None where there are none: after the end, or without a memory controller. Pure.

    With cgroup v1 the kernel's own maximum is among them, with v2 it is not.
    """
    memory, processes = said.get("memory_stats") or {}, said.get("pids_stats") or {}
    if not memory.get("usage"):
        return None
    # Cache that can be dropped is not needed memory; `docker stats` subtracts it too (cgroup v2, then v1).
    cache = memory.get("stats") or {}
    spare = cache.get("inactive_file", cache.get("total_inactive_file", 0))
    return Sample(
        memory=max(0, memory["usage"] - spare),
        peak=memory.get("max_usage") or None,
        processes=processes.get("current", 0),
    )


@dataclass(kw_only=True)
class Watch:
    """One container's watch. `begin` it when the stream is open, `end` it when the container is gone."""

    frames: Iterable[Frame]
    limit: int
    """The container is killed when it has printed more bytes."""
    life_s: float
    """The container is killed when it has run longer."""
    kill: Callable[[], None]
    """May be called again, and for a container that has ended."""
    sample: Callable[[], Sample | None]
    clock: Callable[[], float] = time.monotonic
    printed: int = 0
    memory: int | None = None
    measured: bool = False
    processes: int = 0
    broken: OSError | None = None
    """Why what it prints could not be read to the end. It is killed then: nothing counts its output any more."""
    _stdout: bytearray = field(default_factory=bytearray, repr=False)
    _stderr: bytearray = field(default_factory=bytearray, repr=False)
    _both: bytearray = field(default_factory=bytearray, repr=False)
    _wake: threading.Event = field(default_factory=threading.Event, repr=False)
    _ended: bool = False
    _threads: tuple[threading.Thread, ...] = ()
    _until: float = 0.0

    @property
    def flooded(self) -> bool:
        """It printed more than it may."""
        return self.printed > self.limit

    @property
    def expired(self) -> bool:
        """Its time is up."""
        return self.clock() >= self._until

    def begin(self) -> None:
        """Start to read and to count."""
        self._until = self.clock() + self.life_s
        self._threads = tuple(
            threading.Thread(target=work, name=f"watch-{work.__name__}", daemon=True)
            for work in (self._read, self._count)
        )
        for thread in self._threads:
            thread.start()

    def drained(self, timeout_s: float) -> bool:
        """Wait until everything that the ended container printed is here."""
        self._threads[0].join(timeout_s)
        return not self._threads[0].is_alive()

    def end(self, timeout_s: float) -> bool:
        """Stop counting; returns whether the stream was read to its end."""
        self._ended = True
        self._wake.set()
        self._threads[1].join(timeout_s)
        return self.drained(timeout_s)

    def look(self) -> None:
        """Take a sample now."""
        seen = self.sample()
        if seen is None:
            return
        self.measured = seen.peak is not None
        self.memory = max(self.memory or 0, seen.memory, seen.peak or 0)
        self.processes = max(self.processes, seen.processes)

    def text(self, *, stdout: bool, stderr: bool) -> str:
        """What it printed, up to the limit."""
        kept = self._both if stdout and stderr else self._stdout if stdout else self._stderr
        return bytes(kept).decode(errors="replace")

    def _read(self) -> None:
        try:
            for out, err in self.frames:
                self._keep(out, err)
        except OSError as error:
            self.broken = error
        else:
            self._ended = True
        self._wake.set()

    def _keep(self, out: bytes | None, err: bytes | None) -> None:
        data = out or err or b""
        kept = data[: max(0, self.limit - self.printed)]
        (self._stdout if out else self._stderr).extend(kept)
        self._both.extend(kept)
        before, self.printed = self.flooded, self.printed + len(data)
        if self.flooded and not before:
            self._wake.set()

    def _count(self) -> None:
        """Count, and kill: never from the reading thread, because an engine waits until what was printed is read."""
        while True:
            self._wake.wait(_EVERY_S)
            if self._ended:
                return
            self._wake.clear()
            if self.flooded or self.expired or self.broken:
                self.kill()
            self.look()
