"""The second build: a process of its own under other conditions, on an engine of its own that is gone afterwards."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import Unavailable, WorkFailed
from build.host import private
from build.image.layout import open_layout
from build.image.model import BUILD_PLATFORM, BuiltImage
from build.plan.model import ImagePlan
from build.publish.bundle import PLAN
from build.settings import Settings
from build.verify.model import Rebuilt
from build.verify.rebuild import COMPILE_CACHE_ARGUMENT
from build.verify.variations import Conditions, Here, conditions

__all__ = ["built_again", "conditions_here", "described"]

_JOBS = re.compile(r"compile: (\d+ jobs \(\d+ cores)")


def conditions_here(
    settings: Settings, chosen: frozenset[str], bundle: Path, work: Path, before: BuiltImage | None
) -> Conditions:
    """Decide on this machine how a bundle is built again."""
    umask = os.umask(0o022)
    os.umask(umask)
    linux = platform.system() == "Linux"
    here = Here(
        env=dict(os.environ),
        cwd=Path.cwd(),
        umask=umask,
        cpus=tuple(sorted(os.sched_getaffinity(0)))
        if sys.platform == "linux"
        else (0,) * (os.cpu_count() or 1),
        can_limit_cpus=linux and bool(shutil.which("taskset", path=settings.path)),
    )
    no_engine = ""
    if not linux or os.geteuid() != 0:
        no_engine = "a private engine needs root on Linux; every step is run anew on the one in use"
    cache = before.compile_cache if before else {}
    compiled = (
        f"on, {cache.get('hits', 0)} hits and {cache.get('misses', 0)} misses" if cache else "not known"
    )
    decided = conditions(here, chosen, work, no_engine=no_engine, compiled=compiled)
    return _without_argument(decided, bundle)


def _without_argument(decided: Conditions, bundle: Path) -> Conditions:
    """Say so where the bundle's Dockerfile, of an earlier version, knows no way to do without the compile cache."""
    plan = store.read_artifact(bundle / PLAN, ImagePlan, made_by="nox -s verify")
    if decided.compile_cache or f"ARG {COMPILE_CACHE_ARGUMENT}" in dict(plan.files)["Dockerfile"]:
        return decided
    why = f"the Dockerfile takes no {COMPILE_CACHE_ARGUMENT}"
    varied = tuple(
        replace(one, after=one.before, why_not=why) if one.name == "ccache" else one for one in decided.varied
    )
    return replace(decided, varied=varied, compile_cache=True)


@contextmanager
def built_again(
    bundle: Path, work: Path, how: Conditions, settings: Settings, reporter: Reporter
) -> Iterator[Path]:
    """Build a bundle below `work`, which is made for it and removed after the block; yields the folder of its artifacts.

    Whatever ends the block, the engine is stopped and its data deleted. What a kill left of an earlier run goes first.

    Raises:
        WorkFailed: it does not build under these conditions.
        Unavailable: there is no engine for it.
    """
    engine = replace(settings, engine="private", engine_name=f"{settings.engine_name[:25]}-verify")
    lock = settings.cache / "verify" / ".lock"
    with store.locked(lock, waits=lambda: reporter.note("waiting for another verify to end")):
        if how.own_engine:
            private.stop(engine, reporter, purge=True)
        store.discard(work)
        for name in ("home", "tmp"):
            (work / name).mkdir(parents=True)
        try:
            yield _built(bundle, work, how, engine if how.own_engine else settings, reporter)
        finally:
            if how.own_engine:
                private.stop(engine, reporter, purge=True)
            store.discard(work)


def _built(bundle: Path, work: Path, how: Conditions, engine: Settings, reporter: Reporter) -> Path:
    into = work / "build"
    limit = ("taskset", "--cpu-list", ",".join(map(str, how.cpus))) if how.cpus else ()
    words = [
        sys.executable,
        "-m",
        "build",
        "from-bundle",
        str(bundle),
        "--into",
        str(into),
        "--file-times",
        str(how.shift_s),
    ]
    words += [] if how.compile_cache else ["--no-compile-cache"]
    words += [] if how.own_engine else ["--no-layer-cache"]
    with reporter.step("build it again"):
        status = process.stream(
            (*limit, *words),
            on_line=reporter.output,
            cwd=how.cwd,
            env={**_environment(engine, own_engine=how.own_engine), **how.env},
            umask=how.umask,
        )
    found = sorted((into / "out").glob("*/image.json"))
    if status or len(found) != 1:
        message = "the image does not build again under these conditions"
        hint = f"--without NAME leaves one condition as it was{_kept_log(into, work)}"
        raise (
            Unavailable(message, hint=hint)
            if status == Unavailable.exit_code
            else WorkFailed(message, hint=hint)
        )
    return found[0].parent


def _kept_log(into: Path, work: Path) -> str:
    """Save the log of a build that failed from what is removed with its folder."""
    for log in sorted((into / "out").glob("*/build.log")):
        kept = work.with_name(f"{work.name.strip('.')}.log")
        log.replace(kept)
        return f"; the whole log is kept: {kept}"
    return ""


def _environment(settings: Settings, *, own_engine: bool) -> dict[str, str]:
    environment = {"PYTHONPATH": str(settings.root), "INGOT_CACHE": str(settings.cache)}
    if own_engine:
        own = {"INGOT_ENGINE": "private", "INGOT_ENGINE_NAME": settings.engine_name}
        return environment | own | dict.fromkeys(("INGOT_BUILDER", "BUILDX_BUILDER", "DOCKER_HOST"), "")
    return environment | {"DOCKER_CONFIG": str(settings.docker_config)}


def described(out: Path, built: BuiltImage | None) -> Rebuilt:
    """Say what lies in a folder of artifacts; without an image.json only what its layout says."""
    layout = open_layout(out / "image")
    log = out / "build.log"
    said = _JOBS.search(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else None
    return Rebuilt(
        digest=layout.digest,
        config_digest=layout.config_digest,
        diff_ids=tuple(layer.diff_id for layer in layout.layers),
        engine={name: version for name, version in built.engine.items() if name != BUILD_PLATFORM}
        if built
        else {},
        seconds=built.seconds.get("total", 0.0) if built else 0.0,
        jobs=f"{said[1]})" if said else "",
    )
