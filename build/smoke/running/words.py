"""What a foreign program printed, made fit for a report and a terminal; and how it ended, in words. Pure."""

from typing import Final

from build.doors.effects import RunResult
from build.recipe.words import printable
from build.smoke.running.limits import LOG_BYTES, size

__all__ = ["answer", "fate", "plain", "plain_detail", "stopped", "tail"]

_LINE: Final = 2000
_QUOTED: Final = 400
_LINES: Final = 200
_ITEMS: Final = 200
_DEPTH: Final = 6


def plain(text: str, width: int = _LINE) -> str:
    """Escape what a terminal or a CI log would take for a command; cut long lines and many lines."""
    lines = text.splitlines()
    more = [f"... {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    return "\n".join([_line(line, width) for line in lines[:_LINES]] + more)


def _line(line: str, width: int) -> str:
    cut = printable(line[:width].replace("\t", " "))
    return f"{cut}... {len(line) - width} more characters" if len(line) > width else cut


def plain_detail(value: object, depth: int = 0) -> object:
    """The same for the texts in a check's evidence."""
    if isinstance(value, str):
        return plain(value)
    if depth > _DEPTH:
        return "..."
    if isinstance(value, dict):
        return {plain(str(key)): plain_detail(one, depth + 1) for key, one in list(value.items())[:_ITEMS]}
    if isinstance(value, list | tuple):
        return [plain_detail(one, depth + 1) for one in value[:_ITEMS]]
    return value


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of what a program printed."""
    return plain("\n".join(text.strip().splitlines()[-lines:]), _QUOTED)


def stopped(result: RunResult) -> bool:
    """Say whether a limit ended it, so that its status is nothing of its own."""
    return result.flooded or result.timed_out or (result.oom_killed and result.exit_code != 0)


def fate(result: RunResult) -> str:
    """Say how a container ended."""
    if result.flooded:
        return f"was killed when it had printed {size(LOG_BYTES)}"
    if result.timed_out:
        return f"was killed after {result.seconds:.0f} s"
    if result.oom_killed and result.exit_code != 0:
        return "was killed for memory"
    return f"ended with status {result.exit_code}"


def answer(result: RunResult) -> str:
    """What a probe brought back: the body, or why there is none."""
    if result.exit_code == 0:
        return result.stdout
    if stopped(result):
        return (
            f"the probe {fate(result)}: the answer does not end\n"
            if result.flooded
            else f"the probe {fate(result)}\n"
        )
    return result.stdout + result.stderr
