"""Bundle to image, with nothing of this checkout's own: what a second build, here or at a stranger's, is."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from build.doors import store
from build.doors.effects import Builder, Reporter
from build.doors.platforms import Platform
from build.errors import WorkFailed
from build.image.build import build_image, write_rendered
from build.image.model import BuiltImage
from build.publish.bundle import Material, materialise

__all__ = ["COMPILE_CACHE_ARGUMENT", "How", "rebuild"]

COMPILE_CACHE_ARGUMENT = "CCACHE_DISABLE"
"""A build argument of the compile stages; ccache reads it as a variable."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What of a build may be otherwise without changing its result."""

    compile_cache: bool = True
    layer_cache: bool = True
    """False: every step is run anew. The compile cache stays as it is."""
    shift_s: int = 0
    """Seconds that the times of all files are moved by."""


def rebuild(  # noqa: PLR0913  (what a build is, and how it may be otherwise)
    bundle: Path,
    into: Path,
    how: How,
    *,
    builder: Builder,
    reporter: Reporter,
    engine: Mapping[str, str],
    before_compilers: Callable[[Platform], object],
) -> tuple[Material, BuiltImage]:
    """Prove a bundle and build it below `into`, an empty folder. The image and its log lie where the material says.

    `before_compilers` is told what the bundle's toolchain runs on, and raises where that would be emulated.
    """
    with reporter.step("prove the bundle"):
        material = materialise(bundle, into)
    if material.plan.pin.toolchain:
        before_compilers(material.plan.pin.toolchain.platform)
    write_rendered(material.plan, material.out)
    if not how.layer_cache:
        _make_new(material.out / "context" / "scripts")
    if how.shift_s:
        for folder in (material.out / "context", material.source):
            _shift(folder, how.shift_s)
    target = material.plan.target
    options = () if how.compile_cache else ("--set", f"{target}.args.{COMPILE_CACHE_ARGUMENT}=1")
    built = build_image(
        material.plan,
        material.out,
        root=into,
        builder=builder,
        reporter=reporter,
        engine=engine,
        options=options,
    )
    return material, built


def _make_new(scripts: Path) -> None:
    """End each script with a comment that was never there, so that no step which runs one was run before.

    Bake's `--no-cache` would also empty the cache mounts that the steps name, and with them the user's compile cache.
    """
    found = sorted(scripts.glob("*.sh"))
    if not found:
        message = f"{scripts} has no script, so no step of this bundle can be made to run anew"
        raise WorkFailed(message, hint="verify it with a second engine, which needs root on Linux")
    for script in found:
        store.append_text(script, f"# {uuid4().hex}\n")


def _shift(folder: Path, seconds: int) -> None:
    """Move the times of all files, those of today into the past: under a time of the future ninja does not end."""
    now_ns = time.time_ns()
    for path in (folder, *folder.rglob("*")):
        was_ns, by_ns = path.lstat().st_mtime_ns, seconds * _NS
        time_ns = was_ns - by_ns if was_ns + by_ns > now_ns else was_ns + by_ns
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)
