"""Files: atomic writes, JSON artifacts, locks, hashes. The only module that knows how an artifact is written down."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from cattrs import BaseValidationError, transform_error
from cattrs.preconf.json import JsonConverter, make_converter

from build.errors import BadRequest
from build.recipe.refs import Commit, Digest

__all__ = [
    "append_line",
    "append_text",
    "canonical_json",
    "discard",
    "locked",
    "parsed",
    "read_artifact",
    "read_known",
    "read_lines",
    "replace_dir",
    "scratch",
    "sha256_file",
    "sha256_text",
    "text_of",
    "to_data",
    "write_artifact",
    "write_bytes",
    "write_lines",
    "write_text",
]

T = TypeVar("T")


def _converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=True)
    for kind in (Commit, Digest):
        converter.register_structure_hook(kind, lambda value, to: to(value))
        converter.register_unstructure_hook(kind, str)
    return converter


_CONVERTER = _converter()


def canonical_json(value: object) -> str:
    """Render JSON that is equal for equal values: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    """Return the hex SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never half. Mode 0644 whatever the umask."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never half. Mode 0644 whatever the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(0o644)
    part.replace(path)


def to_data(value: object) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Turn a dataclass into JSON's own types."""
    return _CONVERTER.unstructure(value)


def text_of(value: object) -> str:
    """Render a dataclass as a JSON document that a person can read."""
    return json.dumps(to_data(value), indent=2, ensure_ascii=False) + "\n"


def parsed(text: str, kind: type[T]) -> T | None:
    """Read a dataclass out of a document; None where another version of the pipeline wrote it."""
    try:
        return _structure(text.encode(), kind)
    except (BaseValidationError, ValueError):
        return None


def write_artifact(path: Path, value: object) -> None:
    """Write a dataclass as a JSON document that a person can read."""
    write_text(path, text_of(value))


def read_artifact(path: Path, kind: type[T], *, made_by: str) -> T:
    """Read a JSON artifact back. `made_by` names the command that writes it, for the message.

    Raises:
        BadRequest: it is not there, or is not what this version of the pipeline writes.
    """
    try:
        return _structure(path.read_bytes(), kind)
    except FileNotFoundError:
        message = f"{path} does not exist"
    except (BaseValidationError, ValueError) as error:
        message = f"{path} is not what it should be: {'; '.join(_reasons(error))}"
    raise BadRequest(message, hint=f"make it with `{made_by}`")


def _structure(data: bytes, kind: type[T]) -> T:
    document = json.loads(data)
    if not isinstance(document, dict):
        message = f"a JSON object is expected, not {type(document).__name__}"
        raise ValueError(message)  # noqa: TRY004  (wrong text, like every other)
    return _CONVERTER.structure(document, kind)


def _reasons(error: Exception) -> list[str]:
    if isinstance(error, BaseValidationError):
        return transform_error(error, path="$")
    return [str(error)]


def read_known(path: Path, kind: type[T]) -> T | None:
    """Read an artifact of an earlier run; None where there is none, or another version of the pipeline wrote it."""
    try:
        return _structure(path.read_bytes(), kind)
    except (FileNotFoundError, BaseValidationError, ValueError):
        return None


def append_line(path: Path, value: object) -> None:
    """Add a dataclass as one line of JSON. The file is written anew and renamed: a kill leaves no half line behind."""
    with locked(path.with_name(f".{path.name}.lock")):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        before += "\n" if before and not before.endswith("\n") else ""
        write_text(path, f"{before}{json.dumps(to_data(value), ensure_ascii=False)}\n")


def read_lines(path: Path, kind: type[T]) -> tuple[T, ...]:
    """Read a file of one JSON document a line; lines that another version wrote, or none at all, are passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    found = []
    for line in lines:
        with suppress(BaseValidationError, ValueError):
            found.append(_structure(line, kind))
    return tuple(found)


def write_lines(path: Path, values: Iterable[object]) -> None:
    """Write one JSON document a line, all of them at once."""
    write_text(path, "".join(json.dumps(to_data(value), ensure_ascii=False) + "\n" for value in values))


def append_text(path: Path, text: str) -> None:
    """Add to a file that somebody else began, such as a CI job's summary."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there. A link is removed, never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path)


def replace_dir(new: Path, final: Path) -> None:
    """Put a finished folder in its place. A kill between the steps leaves `final` absent, never half written."""
    old = final.with_name(f".{final.name}.old")
    discard(old)
    if final.exists():
        final.rename(old)
    new.rename(final)
    discard(old)


@contextmanager
def locked(path: Path, *, waits: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold an advisory lock for the block. The kernel drops it on a kill.

    Waits for another process that holds it, and calls `waits` before it does; who will not wait raises there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Hold an empty folder below `parent`/scratch for the block. What killed processes left there goes first."""
    parent = parent / "scratch"
    with ExitStack() as stack:
        with locked(parent / ".lock"):
            for left in [path for path in parent.iterdir() if path.is_dir()]:
                with (left / ".lock").open("a") as file, suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    discard(left)
            own = Path(tempfile.mkdtemp(dir=parent))
            (own / "work").mkdir()
            stack.enter_context(locked(own / ".lock"))
        try:
            yield own / "work"
        finally:
            # Nobody who clears away meets a folder that is half removed.
            with locked(parent / ".lock"):
                discard(own)
