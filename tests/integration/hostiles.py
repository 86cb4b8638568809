"""Images that mean harm, built for real, and the real smoke test run on them."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from build.doors import store
from build.doors.effects import EngineHandle
from build.doors.engine import DockerEngine
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.recipe.model import SmokeModel
from build.settings import Settings
from build.smoke.gpu import NoGpu
from build.smoke.model import CheckResult, Expectations
from build.smoke.run import SmokeRun, expectations_of
from build.smoke.running.image import LABEL
from build.wiring import Wiring
from tests.fakes import RecordingReporter
from tests.integration.conftest import Checkout

__all__ = ["Hostile", "Tested", "build_hostile", "containers", "tampered"]

FOLDER = Path(__file__).parent / "hostile"
VERSION = "version: 42 (abcdef123)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a smoke test of a hostile image came to."""

    results: dict[str, CheckResult]
    seconds: float
    said: list[tuple[str, str]] = field(repr=False)

    def failed(self, name: str) -> str:
        """Return why a check failed, in a form that asserts that it did."""
        return self.results[name].reason if self.results[name].outcome == "failed" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """The image that holds every attack, and what a smoke test needs beside it."""

    layout: Path
    plan: ImagePlan
    built: BuiltImage
    stub: Path
    handle: EngineHandle

    def smoke(
        self,
        work: Path,
        words: tuple[str, ...],
        *,
        config: Mapping[str, Any] | None = None,
        whole: bool = False,
        **promises: Any,
    ) -> Tested:
        """Run the running checks, or the `whole` test, on the image with an attack as its entrypoint."""
        layout, built = tampered(self.layout, self.built, work / "image", words, config)
        reporter = RecordingReporter()
        expect = replace(self._expectations(words), **promises)
        with DockerEngine(self.handle) as engine:
            run = SmokeRun(
                plan=self.plan, built=built, layout=layout, driver_stub=self.stub, engine=engine,
                reporter=reporter, work=work / "smoke", gpu=NoGpu(reason="no GPU"),
            )  # fmt: skip
            begun = time.monotonic()
            checks = run.smoke().report.checks if whole else run.running(expect).checks
            seconds = time.monotonic() - begun
        return Tested(results={one.name: one for one in checks}, seconds=seconds, said=reporter.said)

    def _expectations(self, words: tuple[str, ...]) -> Expectations:
        """Promise what the program keeps, so that only the attack fails."""
        return replace(
            expectations_of(self.plan),
            entrypoint=("/app/hostile", *words),
            version=VERSION,
            model=SmokeModel.NONE,
            serve=(),
            flags=(),
            refused=(),
            endpoints=(),
            args=(),
        )


def build_hostile(good: Checkout, settings: Settings, handle: EngineHandle, target: Path) -> Hostile:
    """Compile the attacks with the toolchain and lay them into the sample's image, by BuildKit."""
    out = good.out / "minifork"
    contexts = json.loads((out / "docker-bake.json").read_text())["target"]["minifork"]["contexts"]
    built = store.read_artifact(out / "image.json", BuiltImage, made_by="the fixture")
    plan = store.read_artifact(out / "plan.json", ImagePlan, made_by="the fixture")
    command = (
        "docker", "buildx", "build", "--progress=plain",
        "--build-context", f"toolchain={contexts['toolchain']}",
        "--build-context", f"good=oci-layout://{out / 'image'}@{built.digest}",
        "--output", f"type=oci,dest={target},tar=false,oci-mediatypes=true", str(FOLDER),
    )  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, **dict(handle.environment)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert plan.pin.toolchain is not None
    images = Wiring(settings=settings, reporter=RecordingReporter()).images
    stub = images.driver_stub(plan.recipe.toolchain.cuda, plan.pin.toolchain)
    return Hostile(layout=target, plan=plan, built=built, stub=stub, handle=handle)


def tampered(
    source: Path,
    built: BuiltImage,
    target: Path,
    words: tuple[str, ...],
    config: Mapping[str, Any] | None = None,
) -> tuple[Path, BuiltImage]:
    """Copy a layout with another entrypoint, and say of it what image.json says of an image."""
    shutil.copytree(source, target, copy_function=os.link)
    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    manifest = json.loads((target / "blobs" / entry["digest"].replace(":", "/")).read_text())
    document = json.loads((target / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_text())
    document["config"] |= {
        "Entrypoint": ["/app/hostile", *words],
        "Env": [*document["config"]["Env"], "HOSTILE_WHERE=container"],
        **(config or {}),
    }
    manifest["config"] |= _blob(target, document)
    entry |= _blob(target, manifest)
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]})
    (target / "index.json").unlink()  # a link to the source's
    (target / "index.json").write_text(index)
    layout = open_layout(target)
    return target, replace(
        built, digest=layout.digest, config_digest=layout.config_digest, layers=layout.layers
    )


def _blob(layout: Path, value: object) -> dict[str, Any]:
    data = json.dumps(value).encode()
    name = hashlib.sha256(data).hexdigest()
    path = layout / "blobs" / "sha256" / name
    path.write_bytes(data)
    return {"digest": f"sha256:{name}", "size": len(data)}


def containers(handle: EngineHandle, work: Path) -> list[str]:
    """List the commands of the containers of the smoke tests below a folder, alive or not."""
    run_id = store.sha256_text(str(work.resolve()))[:12]
    listing = ("docker", "ps", "--all", "--no-trunc", "--format", "{{.Command}}")
    only = ("--filter", f"label={LABEL}={run_id}")
    environment = {**os.environ, **dict(handle.environment)}
    done = subprocess.run((*listing, *only), env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
