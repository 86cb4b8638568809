"""Answers one question about the image it runs in: JSON between two marks, whatever else the packages print."""

import json
import sys
from collections.abc import Callable
from typing import Any

from . import bytecode, commandline, imports

_TASKS: dict[str, Callable[[Any], object]] = {
    "imports": imports.answer,
    "toolkit": imports.toolkit,
    "bytecode": bytecode.answer,
    "lines": commandline.answer,
}


def main(mark: str, question: str) -> None:
    """Ask, and print the answer."""
    asked = json.loads(question)
    answer = _TASKS[asked["task"]](asked)
    sys.stdout.flush()
    sys.stdout.write(f"\n{mark}\n{json.dumps(answer)}\n{mark}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
