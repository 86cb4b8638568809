"""Byte code of what was changed, made anew. Stale byte code would be ignored, and compiled again at every start."""

import importlib.util
import py_compile
import warnings
from collections.abc import Iterable
from pathlib import Path

from .orders import FileChange

__all__ = ["compile_again"]


def compile_again(changes: Iterable[FileChange], site: Path) -> None:
    """Compile changed sources the way the image's other byte code is: held against the source by hash, never by time."""
    for change in {change.path: change for change in changes}.values():
        path = site / change.path
        if path.suffix != ".py":
            continue
        old = Path(importlib.util.cache_from_source(str(path)))
        if not change.after:
            old.unlink(missing_ok=True)
            continue
        # What is no Python of this version has no byte code, as elsewhere in the image; importing it says why.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                py_compile.compile(
                    str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
                )
            except py_compile.PyCompileError:
                old.unlink(missing_ok=True)
