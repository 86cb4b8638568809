"""Where the package's files lie, and how an answer is made of edits."""

from pathlib import Path

from ..text import Patcher, Result

ROOT = Path(__file__).parents[2]


def target(name: str) -> str:
    return str(ROOT / name)


def answer(patcher: Patcher) -> tuple[str, str]:
    result, reason = patcher.apply()
    if result is Result.IDEMPOTENT:
        return "applied", "idempotent"
    return result.value, reason
