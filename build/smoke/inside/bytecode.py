"""Compares the compiled files of installed packages with their sources, and compiles the sources that have none."""

import importlib.util
import marshal
import struct
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["answer"]

_HEADER = 16
_HASHED = 0b1
_TIME = struct.Struct("<II")
_32_BIT = 0xFFFFFFFF
_SHOWN = 20


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Look through the standard library and everything that is installed; compile the packages of `compile`."""
    roots = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")}
    findings: list[str] = []
    counts = {"compiled": 0, "sources": 0}
    for path in sorted({path for root in roots for path in root.rglob("*.pyc")}):
        if path.parent.name == "__pycache__" and f".{sys.implementation.cache_tag}." in path.name:
            counts["compiled"] += 1
            findings += _compiled(path)
    for name in asked["compile"]:
        for source in sorted(path for root in roots for path in _sources(root / name)):
            counts["sources"] += 1
            findings += _source(source)
    return {**counts, "findings": findings[:_SHOWN], "more": max(0, len(findings) - _SHOWN)}


def _sources(root: Path) -> Iterator[Path]:
    if root.with_suffix(".py").is_file():
        yield root.with_suffix(".py")
    # Templates of code generators have names that are no module's.
    yield from (path for path in sorted(root.rglob("*.py")) if path.stem.isidentifier())


def _source(path: Path) -> Iterator[str]:
    try:
        if Path(importlib.util.cache_from_source(str(path))).exists():
            # Compared with the source already.
            return
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        yield f"{path} does not compile: {error}"


def _compiled(path: Path) -> Iterator[str]:
    source = Path(importlib.util.source_from_cache(str(path)))
    data = path.read_bytes()
    if not source.is_file():
        yield f"{path} has no source any more"
    elif data[:4] != importlib.util.MAGIC_NUMBER:
        yield f"{path} is of another Python"
    elif not data[4] & _HASHED:
        state = source.stat()
        if _TIME.unpack_from(data, 8) != (int(state.st_mtime) & _32_BIT, state.st_size & _32_BIT):
            yield f"{path} is bound to another time of its source than the layers give it: Python compiles it at each start"
    elif data[8:_HEADER] != importlib.util.source_hash(source.read_bytes()):
        yield f"{path} was not compiled from its source"
    else:
        named = _file_of(data)
        if named != str(source):
            yield f"{path} says that it comes from {named}"


def _file_of(data: bytes) -> str:
    try:
        return str(marshal.loads(data[_HEADER:]).co_filename)  # noqa: S302  (runs inside the image under test)
    except (ValueError, EOFError, TypeError, AttributeError) as error:
        return f"nowhere: {error}"
