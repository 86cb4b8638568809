"""Unified diffs, which were applied before the build: held against the installed files, then put in their place."""

from pathlib import Path

from .orders import DiffOrder
from .refused import Refused
from .snapshot import file_id

__all__ = ["apply_diffs"]


def apply_diffs(diffs: tuple[DiffOrder, ...], edits: Path, site: Path) -> None:
    """Give every file that the diffs touch the bytes that it has after the last of them.

    Raises:
        Refused: an installed file is not the one that the diff was proven against.
    """
    state: dict[str, str] = {}
    for diff in diffs:
        for change in diff.changes:
            found = state.get(change.path, file_id(site / change.path))
            if found != change.before:
                message = (
                    f"{diff.id}: {change.path} is not the file that this patch was proven against: "
                    f"installed {found or 'nothing'}, proven {change.before or 'nothing'}"
                )
                raise Refused(message)
            state[change.path] = change.after
    for path, after in state.items():
        _replace(site / path, edits / path, after, path)


def _replace(target: Path, source: Path, after: str, path: str) -> None:
    if not after:
        target.unlink()
        return
    if file_id(source) != after:
        message = (
            f"{path}: the file that was handed over is {file_id(source) or 'nothing'}, proven was {after}"
        )
        raise Refused(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
