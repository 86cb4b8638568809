"""Imports modules, each in a process of its own: one that crashes the interpreter takes no other with it."""

import importlib
import importlib.util
import json
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["answer", "toolkit"]

_LINE = 500
_BETWEEN = " is built with CUDA "


def answer(asked: dict[str, Any]) -> dict[str, str]:
    """Map each module to why it cannot be imported; an empty text where it can."""
    modules = dict.fromkeys((*asked["modules"], *_patched(Path(asked["ledger"]))))
    return {name: _apart(partial(_imported, name), asked["seconds"]) for name in modules}


def toolkit(asked: dict[str, Any]) -> dict[str, str]:
    """Say which CUDA version torch was built with; nothing where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    said = _apart(_torch, asked["seconds"])
    version, found, cuda = said.partition(_BETWEEN)
    return {"torch": version, "cuda": cuda} if found else {"failed": said}


def _patched(ledger: Path) -> list[str]:
    """Name the modules whose files the ledger says were changed."""
    if not ledger.exists():
        return []
    entries = json.loads(ledger.read_text(encoding="utf-8"))["patches"]
    paths = (Path(change["path"]) for entry in entries for change in entry["files"] if change["after"])
    modules = (path.with_suffix("").parts for path in paths if path.suffix == ".py")
    return [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in modules]


def _imported(name: str) -> str:
    importlib.import_module(name)
    return ""


def _torch() -> str:
    torch: Any = importlib.import_module("torch")
    return f"{torch.__version__}{_BETWEEN}{torch.version.cuda}"


def _apart(work: Callable[[], str], seconds: int) -> str:
    """Do something in a child; what it returns, or its exception, or the signal that ended it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(seconds)
        _child(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"not done within {seconds} s" if number == signal.SIGALRM else _crash(number)
    return (
        said if os.WEXITSTATUS(status) == 0 else f"the interpreter ended with status {os.WEXITSTATUS(status)}"
    )


def _child(work: Callable[[], str], writing: int) -> None:
    try:
        said = work()
    except BaseException as error:  # noqa: BLE001  (SystemExit too: a module that ends the interpreter is broken)
        said = traceback.format_exception_only(error)[-1].strip()[:_LINE]
    with suppress(BrokenPipeError):
        os.write(writing, said.encode(errors="replace"))
    os._exit(0)


def _crash(number: int) -> str:
    try:
        return f"the interpreter was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"the interpreter was killed by signal {number}"
