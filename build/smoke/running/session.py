"""A server under test while it runs, and the shape of a check of it."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from build.doors.effects import Mount, RunningContainer, RunResult
from build.smoke.running import limits
from build.smoke.running.image import RunningImage
from build.smoke.running.words import answer
from build.smoke.static.image import Verdict

__all__ = ["ServerCheck", "Session", "session"]

_QUICK_S: Final = 30
_SPARE_S: Final = 30.0
"""For the container of whoever asks, beside the time of the answer."""
_ROUND_S: Final = 5


@dataclass(slots=True)
class Session:
    """A server that was started, and what was learnt of it so far."""

    image: RunningImage
    container: RunningContainer
    healthy: bool = False

    def command(
        self, path: str, *options: str, max_s: int = _QUICK_S, max_bytes: int = limits.ANSWER_BYTES
    ) -> str:
        """Write the shell's words for one question to the server, its answer within limits."""
        url = f"http://127.0.0.1:{self.image.expect.port}{path}"
        limit = ("--max-time", str(max_s), "--max-filesize", str(max_bytes))
        return shlex.join(("curl", "-sS", *limit, *options, url))

    def beside(self, script: str, max_s: int, *, mounts: tuple[Mount, ...] = ()) -> RunResult:
        """Run commands beside the server that take so long at most."""
        return self.image.beside(self.container.id, script, timeout_s=max_s + _SPARE_S, mounts=mounts)

    def curl(self, path: str, *options: str, max_s: int = _QUICK_S) -> tuple[int, str]:
        """Ask the server from beside it. Returns curl's exit status and the body."""
        result = self.beside(self.command(path, *options, max_s=max_s), max_s)
        return result.exit_code, answer(result)

    def await_health(self, within_s: float) -> RunResult:
        """Ask in rounds whether it is healthy; returns the last answer.

        Each round is a container of its own, whose start fails once the server has ended: nobody waits for a dead one.
        """
        until = self.image.clock() + within_s
        rounds = ("--retry", str(_ROUND_S), "--retry-delay", "1", "--retry-max-time", str(_ROUND_S))
        rest = ("--retry-connrefused", "--retry-all-errors")
        script = self.command(self.image.expect.health, "--fail", *rounds, *rest)
        while True:
            result = self.beside(script, _QUICK_S)
            if result.exit_code == 0 or self.image.clock() >= until:
                return result


@contextmanager
def session(image: RunningImage) -> Iterator[Session]:
    """Start the server with the recipe's smoke arguments; it is removed whatever happens."""
    spec = image.spec(*image.arguments(image.expect.args), timeout_s=image.limits.whole_s)
    with image.engine.started(spec) as container:
        yield Session(image=image, container=container)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCheck:
    """A proof that needs the running server."""

    name: str
    protects: str
    """What would have gone wrong for the user, in one sentence."""
    run: Callable[[Session], Verdict]
    needs_health: bool = True
    needs_model: bool = False
