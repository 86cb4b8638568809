"""A server under test while it runs, and the shape of a check of it."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from build.doors.effects import RunningContainer
from build.smoke.running import limits
from build.smoke.running.image import RunningImage
from build.smoke.running.words import answer
from build.smoke.static.image import Verdict

__all__ = ["ServerCheck", "Session", "session"]


@dataclass(slots=True)
class Session:
    """A server that was started, and what was learnt of it so far."""

    image: RunningImage
    container: RunningContainer
    healthy: bool = False

    def command(self, path: str, *options: str, max_s: int = 30) -> str:
        """Write the shell's words for one question to the server, its answer within limits."""
        url = f"http://127.0.0.1:{self.image.expect.port}{path}"
        limit = ("--max-time", str(max_s), "--max-filesize", str(limits.ANSWER_BYTES))
        return shlex.join(("curl", "-sS", *limit, *options, url))

    def curl(self, path: str, *options: str, max_s: int = 30, timeout_s: float = 60.0) -> tuple[int, str]:
        """Ask the server from beside it. Returns curl's exit status and the body."""
        script = self.command(path, *options, max_s=max_s)
        result = self.image.beside(self.container.id, script, timeout_s=timeout_s)
        return result.exit_code, answer(result)


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
