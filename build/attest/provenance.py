"""How an image came to be, as SLSA provenance in an in-toto statement. Pure: equal artifacts give equal bytes.

docs/provenance.md says what each parameter means. It is what the builder says of itself, and is not signed.
https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from build.attest.wheels import Wheel
from build.doors import store
from build.doors.bakefile import EPOCH
from build.image.model import BuildRun, BuiltImage
from build.pin.model import PinnedImage, PinnedSource
from build.plan.model import ImagePlan
from build.recipe.model import SdistSource

__all__ = ["BUILDER", "BUILD_TYPE", "PREDICATE", "STATEMENT", "BuildFacts", "provenance"]

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:ingot:build-type:image:v1"
"""A name, not an address; docs/provenance.md is the document."""
BUILDER: Final = "urn:ingot:builder:v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """All that the statement is made from."""

    subject: str
    """The image's reference, without digest."""
    plan: ImagePlan
    built: BuiltImage
    locks: tuple[tuple[str, str], ...]
    """Committed locks: path in the repository and SHA-256."""
    wheels: tuple[Wheel, ...]


def provenance(facts: BuildFacts) -> str:
    """Write the statement as JSON."""
    plan, built = facts.plan, facts.built
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": facts.subject, "digest": {"sha256": built.digest.hex}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "recipe": store.to_data(plan.recipe),
                    "recipeFile": plan.recipe.origin.file,
                    "variant": plan.variant,
                },
                "internalParameters": {
                    "fingerprint": plan.fingerprint,
                    "platform": built.platform,
                    "sourceDateEpoch": EPOCH,
                    **({"toolchainLock": plan.pin.toolchain.lock} if plan.pin.toolchain else {}),
                    "baseLock": plan.pin.base.lock,
                },
                "resolvedDependencies": list(_dependencies(facts)),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": _versions(built)},
                **({"metadata": _metadata(built.run)} if built.run else {}),
            },
        },
    }
    return json.dumps(statement, indent=2, ensure_ascii=False) + "\n"


def _dependencies(facts: BuildFacts) -> Iterator[dict[str, Any]]:
    plan = facts.plan
    if facts.built.run and facts.built.run.commit:
        yield _repository(facts.built.run)
    yield from _source(plan)
    for proof in plan.pin.source.patches:
        yield _descriptor(f"patches/{proof.file}", sha256=proof.sha256)
    if plan.pin.toolchain:
        yield _image("toolchain", plan.pin.toolchain)
    yield _image("base", plan.pin.base)
    for path, digest in facts.locks:
        yield _descriptor(path, sha256=digest)
    for installed in plan.pin.source.wheels:
        uri = f"pkg:pypi/{installed.name}@{installed.version}?file_name={installed.file}"
        yield _descriptor(installed.file, uri=uri, sha256=installed.sha256)
    for wheel in facts.wheels:
        uri = f"pkg:pypi/{wheel.name}@{wheel.version}?file_name={wheel.file}"
        yield _descriptor(wheel.file, uri=uri, sha256=wheel.sha256)


def _repository(run: BuildRun) -> dict[str, Any]:
    """Name the state of the recipes' own repository. What differed from the commit has no name."""
    uri = f"git+{run.repository}@{run.commit}" if run.repository else ""
    return _descriptor("recipes", uri=uri, gitCommit=run.commit) | {"annotations": {"changed": run.changed}}


def _source(plan: ImagePlan) -> Iterator[dict[str, Any]]:
    source: PinnedSource = plan.pin.source
    recipe = plan.recipe.source
    if isinstance(recipe, SdistSource):
        package, _, version = recipe.sdist.partition("==")
        yield _descriptor("archive", uri=f"pkg:pypi/{package}@{version}", sha256=source.archive_sha256)
    elif source.commit:
        uri = f"git+{source.url}@{source.commit}" if source.url else ""
        yield _descriptor("source", uri=uri, gitCommit=source.commit)
    if source.tree:
        yield _descriptor("source tree", gitTree=source.tree)
        yield _descriptor("source tree with patches", gitTree=source.patched_tree)
    for path, commit in source.submodules:
        yield _descriptor(f"submodule {path}", gitCommit=commit)


def _image(name: str, image: PinnedImage) -> dict[str, Any]:
    annotations = {"lock": image.lock, "origin": image.origin}
    return _descriptor(name, sha256=image.digest.hex) | {"annotations": annotations}


def _descriptor(name: str, *, uri: str = "", **digest: str) -> dict[str, Any]:
    return {"name": name, **({"uri": uri} if uri else {}), "digest": digest}


def _versions(built: BuiltImage) -> dict[str, str]:
    own = {"ingot": built.run.commit} if built.run and built.run.commit else {}
    return own | dict(sorted(built.engine.items()))


def _metadata(run: BuildRun) -> dict[str, str]:
    return {"startedOn": run.started, "finishedOn": run.finished}
