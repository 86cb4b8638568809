"""Runs one patch set and gathers what it said and what became of the files. The only module that starts a process."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .observe import Observed, read_observed
from .orders import FileChange, SetOrder
from .refused import Refused
from .snapshot import Watched

__all__ = ["Ran", "run_set"]

_TIME_LIMIT_S = 1800
_TAIL = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A patch set's run."""

    status: int
    output: str
    observed: tuple[Observed, ...]
    """One for each patch, where the set can be run one at a time."""
    changes: tuple[FileChange, ...]
    """Everything that is different afterwards, whoever did it."""

    @property
    def tail(self) -> str:
        return "\n".join(self.output.strip().splitlines()[-_TAIL:])


def run_set(order: SetOrder, ours: Path, site: Path, watched: Watched) -> Ran:
    """Run a set that is in its place. `watched` has been asked since it was put there.

    Raises:
        Refused: it does not end.
    """
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "observed.jsonl"
        argv = (sys.executable, *order.run[1:])
        if order.registry:
            head = ("-m", f"{__package__}.observe", str(site), str(results), order.registry, order.patcher)
            argv = (sys.executable, *head, *order.run[3:])
        try:
            done = subprocess.run(
                argv,
                env=_environment(order, ours, scratch),
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=_TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"{order.name}: the patch set did not end within {_TIME_LIMIT_S} seconds"
            raise Refused(message) from error
        return Ran(
            status=done.returncode,
            output=done.stdout,
            observed=read_observed(results),
            changes=watched.changes(),
        )


def _environment(order: SetOrder, ours: Path, scratch: str) -> dict[str, str]:
    """Give the set what its recipe names and nothing of the build's own. The helper is on no path of the image."""
    paths = [str(Path(__file__).parents[1])]
    if order.helper:
        paths.append(str(ours / order.helper))
    return {
        "HOME": scratch,
        "LANG": "C.UTF-8",
        "PATH": os.defpath,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": scratch,
        **dict(order.env),
    }
