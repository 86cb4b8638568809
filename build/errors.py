"""The errors a user can meet, each with its exit code and the way out. Nothing here prints or exits.

IngotError
├── WorkFailed            1   a build, a smoke check, a push or a patch failed
│   ├── CommandFailed     1   an outside tool ended with a non-zero status
│   └── SmokeFailed       1   an image was built and did not pass
├── BadRequest            2   recipe, arguments or configuration are wrong
│   └── BadRecipes        2   every problem of every recipe, at once
├── NothingSelected       3   the selection matched nothing
└── Unavailable           4   a tool or a service is missing or unreachable
    ├── ToolMissing       4
    └── Unreachable       4

An interrupt is Python's own KeyboardInterrupt; `cli.main` maps it to 130.
"""

import errno
from dataclasses import dataclass

__all__ = [
    "BadRecipes",
    "BadRequest",
    "CommandFailed",
    "IngotError",
    "NothingSelected",
    "Problem",
    "SmokeFailed",
    "ToolMissing",
    "Unavailable",
    "Unreachable",
    "WorkFailed",
    "from_system",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file that a person wrote: where, which key, what, and the mend."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Render as one line, `file:line  key  message  hint: ...`."""
        parts = [f"{self.file}:{self.line}", self.key, self.message]
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "  ".join(part for part in parts if part)


class IngotError(Exception):
    """An error that is the user's to read: a message, a hint that mends it, an exit code."""

    exit_code: int = 1
    answer: object = None
    """What is known all the same; `--json` prints it beside the error."""
    reason: str = ""
    """The message in one line, where its first line alone does not say why."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class WorkFailed(IngotError):
    """The request was right and the work failed."""

    exit_code = 1


class CommandFailed(WorkFailed):
    """An outside tool ended with a non-zero status."""

    def __init__(self, argv: tuple[str, ...], status: int, *, output: str = "", hint: str = "") -> None:
        tail = "\n".join(output.strip().splitlines()[-40:])
        super().__init__(f"{argv[0]} ended with status {status}" + (f":\n{tail}" if tail else ""), hint=hint)
        self.argv = argv
        self.status = status
        self.output = output


def from_system(error: OSError) -> WorkFailed:
    """Name the file that a system call failed on."""
    where = f"{error.filename}: " if error.filename else ""
    hint = "free some space" if error.errno == errno.ENOSPC else ""
    hint = "the path belongs to somebody else" if isinstance(error, PermissionError) else hint
    return WorkFailed(f"{where}{error.strerror or error}", hint=hint)


class SmokeFailed(WorkFailed):
    """An image was built and did not pass its smoke checks."""


class BadRequest(IngotError):
    """Recipe, arguments or configuration are wrong; nothing was done."""

    exit_code = 2


class BadRecipes(BadRequest):
    """Every problem of every recipe, reported at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the recipes")
        self.problems = problems


class NothingSelected(IngotError):
    """The selection matched nothing."""

    exit_code = 3


class Unavailable(IngotError):
    """A tool or a service is missing or cannot be reached."""

    exit_code = 4


class ToolMissing(Unavailable):
    """A program that the pipeline calls is not installed."""


class Unreachable(Unavailable):
    """A service did not answer. Whether a thing exists there is not known."""
