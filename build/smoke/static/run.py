"""Layout to results: the static checks, in this process or, beside those that run the image, in one of their own.

`python -m build.smoke.static.run FOLDER` is that other process: the folder has the question and gets the answer.
"""

import platform
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from build.doors import process, store
from build.errors import IngotError, WorkFailed
from build.image.layout import BrokenLayout, open_layout
from build.smoke.model import CheckResult, Expectations
from build.smoke.static import suite

__all__ = ["apart", "run_static"]

_QUESTION: Final = "question.json"
_ANSWER: Final = "answer.json"
_SAID: Final = "said"
_TAIL: Final = 2000
_TELLING: Final = 6
"""A shorter word stands in many files by chance."""
_COMMON: Final = frozenset({"localhost", "/home", "/root"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    layout: str
    expect: Expectations
    host_words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    checks: tuple[CheckResult, ...]


def run_static(layout: Path, expect: Expectations, work: Path) -> tuple[CheckResult, ...]:
    """Run the checks that read the layout alone; `work` is where they put files while they look at them."""
    with store.scratch(work) as scratch:
        return _checked(layout, expect, _host_words(), scratch)


@contextmanager
def apart(layout: Path, expect: Expectations, work: Path) -> Iterator[Callable[[], tuple[CheckResult, ...]]]:
    """Run them in a process for the block, and give what waits for their results.

    In one process, those that run the image would wait for Python's lock.

    Raises:
        WorkFailed: by the wait, the process broke off.
    """
    question = _Question(layout=str(layout.resolve()), expect=expect, host_words=_host_words())
    with store.scratch(work) as scratch, (scratch / _SAID).open("wb") as said:
        store.write_artifact(scratch / _QUESTION, question)
        argv = (sys.executable, "-m", "build.smoke.static.run", str(scratch))
        child = process.start(argv, cwd=Path(__file__).parents[3], env=None, stdout=said, stderr=said)
        try:
            yield lambda: _wait(child, scratch)
        finally:
            process.end(child)


def _wait(child: process.Child, scratch: Path) -> tuple[CheckResult, ...]:
    status = child.wait()
    if status == 0:
        return store.read_artifact(scratch / _ANSWER, _Answer, made_by="nox -s smoke").checks
    said = (scratch / _SAID).read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
    message = f"the static checks broke off with status {status}" + (f": {said}" if said else "")
    killed = "something killed them, most often for want of memory: free some and smoke-test again"
    raise WorkFailed(message, hint=killed if status == -signal.SIGKILL else "")


def _answer(scratch: Path) -> None:
    question = store.read_artifact(scratch / _QUESTION, _Question, made_by="nox -s smoke")
    files = scratch / "files"
    try:
        files.mkdir()
        checks = _checked(Path(question.layout), question.expect, question.host_words, files)
        store.write_artifact(scratch / _ANSWER, _Answer(checks=checks))
    except (IngotError, OSError) as error:
        sys.exit(str(error))


def _checked(
    layout: Path, expect: Expectations, host_words: tuple[str, ...], scratch: Path
) -> tuple[CheckResult, ...]:
    try:
        opened = open_layout(layout)
    except BrokenLayout as error:
        return suite.unreadable(error, suite.checks_of(expect.family))
    return suite.run_static(opened, expect, host_words=host_words, scratch=scratch)


def _host_words() -> tuple[str, ...]:
    """Words that name this machine and its user; none of them may be in an image."""
    words = {platform.node(), str(Path.home()), str(Path.cwd())}
    return tuple(sorted(word for word in words if len(word) >= _TELLING and word not in _COMMON))


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
