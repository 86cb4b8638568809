"""An image of record in an engine, ready to be run: loaded, its test model and driver stub laid out, all removed after.

One at a time below one cache, so whatever carries its label and still runs was left by a kill.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.doors.effects import Engine
from build.recipe.model import Family, SmokeModel
from build.smoke import gguf, minimodel
from build.smoke.model import Expectations
from build.smoke.running import inside
from build.smoke.running.broken_model import write_broken
from build.smoke.running.image import LABEL, RunningImage

__all__ = ["Loader", "open_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """What is needed to run an image."""

    engine: Engine
    layout: Path
    name: str
    """Repository and tag that the image has in the engine meanwhile; the cache is part of it, since several may share
    an engine and each removes what it loaded."""
    expect: Expectations
    driver_stub: Path
    work: Path
    """Folder for what lives as long as the containers."""
    clock: Callable[[], float] = time.monotonic

    @contextmanager
    def loaded(self) -> Iterator[RunningImage]:
        """Load the image for the block. Containers of an earlier, killed run are removed first."""
        run_id = store.sha256_text(str(self.work.resolve()))[:12]
        with store.locked(self.work / ".lock"):
            self.engine.sweep(f"{LABEL}={run_id}")
            loaded = self.engine.load(self.layout, f"ingot.local/{run_id}/{self.name}")
            with store.scratch(self.work) as scratch:
                try:
                    yield RunningImage(
                        engine=self.engine,
                        image=loaded.ref,
                        expect=self.expect,
                        driver_stub=_readable(self.driver_stub, scratch),
                        model=_model(self.expect.model, open_folder(scratch, "model")),
                        python=_python(scratch) if self.expect.family is Family.PYTHON else None,
                        run_id=run_id,
                        clock=self.clock,
                    )
                finally:
                    self.engine.sweep(f"{LABEL}={run_id}")
                    self.engine.remove_image(loaded.ref)


def open_folder(scratch: Path, name: str) -> Path:
    """Make a folder that the container's user, who is nobody on this host, can read."""
    scratch.chmod(0o755)
    folder = scratch / name
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _readable(stub: Path, scratch: Path) -> Path:
    copy = open_folder(scratch, "driver") / stub.name
    shutil.copyfile(stub, copy)
    copy.chmod(0o755)
    return copy


def _python(scratch: Path) -> Path:
    folder = open_folder(scratch, "python")
    inside.lay_out(folder)
    return folder


def _model(kind: SmokeModel, folder: Path) -> Path | None:
    if kind is SmokeModel.NONE:
        return None
    path = folder / ("tiny.mini" if kind is SmokeModel.MINI else "tiny.gguf")
    if kind is SmokeModel.MINI:
        path.write_bytes(minimodel.generate().to_bytes())
    else:
        gguf.write_llama(path)
    path.chmod(0o644)
    write_broken(path)
    return path
