"""The bill of materials of an image, CycloneDX 1.6, of what is known for certain. Pure: the same image gives the same bytes.

Its serial number is made from the image's digest and its time is the image's own `created`, the date of the upstream commit: no
clock and no chance is in it. https://cyclonedx.org/docs/1.6/json/
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import AttachedText, Encoding, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import (
    Commit,
    Component,
    ComponentType,
    Diff,
    Patch,
    PatchClassification,
    Pedigree,
)
from cyclonedx.model.component_evidence import ComponentEvidence
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from build.attest.contents import Contents, ImageFile, LicensedPackage, PythonPackage
from build.attest.wheels import Wheel
from build.doors.bakefile import EPOCH
from build.image.model import BuiltImage
from build.pin.model import PinnedWheel
from build.plan.model import ImagePlan
from build.recipe.model import SdistSource

__all__ = ["Materials", "sbom"]

_GITHUB: Final = "https://github.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """All that the bill is made from."""

    plan: ImagePlan
    built: BuiltImage
    contents: Contents
    wheels: tuple[Wheel, ...]
    patches: Mapping[str, bytes]
    """The patches' bytes by file."""


def sbom(materials: Materials) -> str:
    """Write the bill of materials as JSON."""
    image = _image(materials)
    wheels = {wheel: tuple(_of_wheel(wheel, materials.contents)) for wheel in materials.wheels}
    application = _application(materials, frozenset(file.path for files in wheels.values() for file in files))
    shipped = [(wheel, files) for wheel, files in wheels.items() if any(file.text is None for file in files)]
    installed = {(wheel.name, wheel.version): wheel for wheel in materials.plan.pin.source.wheels}
    parts = (
        application,
        *(_submodule(path, commit) for path, commit in materials.plan.pin.source.submodules),
        *(_wheel(wheel, files) for wheel, files in shipped),
        *(_debian(one, materials.contents.os) for one in materials.contents.packages),
        *(
            _python(one, installed.get((_normalised(one.name), one.version)))
            for one in materials.contents.python
        ),
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"oci:{materials.built.digest}"),
        metadata=BomMetaData(timestamp=_created(materials.plan), component=image),
        components=parts,
    )
    bom.register_dependency(image, parts)
    return json.dumps(json.loads(JsonV1Dot6(bom).output_as_string()), indent=2) + "\n"


def _created(plan: ImagePlan) -> datetime:
    """Return the date of the upstream commit, which is the image's own too; the layers' where there is none."""
    try:
        return datetime.fromisoformat(plan.pin.source.committed_at).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(EPOCH, tz=UTC)


def _image(materials: Materials) -> Component:
    plan, built = materials.plan, materials.built
    name = PurePosixPath(plan.recipe.image.repository).name
    pin, tools = plan.pin, plan.recipe.toolchain
    return Component(
        type=ComponentType.CONTAINER,
        name=plan.recipe.image.repository,
        version=plan.tag,
        description=plan.recipe.title,
        bom_ref="image",
        hashes=_sha256(built.digest.hex),
        purl=PackageURL("oci", None, name, built.digest, {"arch": built.platform.partition("/")[2]}),
        properties=_properties({
            "ingot:recipe": plan.recipe.name,
            "ingot:variant": plan.variant,
            "ingot:fingerprint": plan.fingerprint,
            "ingot:cuda": tools.cuda,
            "ingot:architectures": " ".join(tools.architectures),
            "ingot:base:digest": pin.base.digest,
            "ingot:toolchain:lock": pin.toolchain.lock if pin.toolchain else "",
        }),
    )  # fmt: skip


def _application(materials: Materials, of_wheels: frozenset[str]) -> Component:
    """Describe what was compiled: the pinned source, its patches whole, the licences that it ships, its binaries."""
    plan, contents = materials.plan, materials.contents
    source, recipe = plan.pin.source, plan.recipe.source
    archive = recipe if isinstance(recipe, SdistSource) else None
    commits = (
        [Commit(uid=source.commit, url=XsUri(source.url) if source.url else None)] if source.commit else []
    )
    patches = [_patch(materials.patches[proof.file]) for proof in source.patches]
    applied = [f"{proof.file} sha256:{proof.sha256} {proof.verdict}" for proof in source.patches]
    return Component(
        type=ComponentType.APPLICATION,
        name=_name(source.url) or plan.recipe.name,
        version=recipe.version,
        bom_ref="application",
        purl=_source_purl(source.url, source.commit, archive),
        hashes=_sha256(source.archive_sha256) if source.archive_sha256 else (),
        pedigree=Pedigree(commits=commits, patches=patches, notes="\n".join(applied) or None),
        evidence=ComponentEvidence(
            licenses=[_licence(one) for one in contents.licences if one.path not in of_wheels]
        ),
        components=[_file(one) for one in contents.binaries if one.path not in of_wheels],
        properties=_properties({
            "ingot:source:tree": source.tree,
            "ingot:source:patched-tree": source.patched_tree,
            "ingot:source:date": source.committed_at,
        }),
    )  # fmt: skip


def _of_wheel(wheel: Wheel, contents: Contents) -> Iterator[ImageFile]:
    """Yield what a wheel brought into the image. Licences of wheels that only compile are in it as well."""
    named = wheel.name.replace("-", "_")
    for one in (*contents.binaries, *contents.licences):
        if one.sha256 in wheel.hashes and (one.text is None or PurePosixPath(one.path).stem == named):
            yield one


def _wheel(wheel: Wheel, files: tuple[ImageFile, ...]) -> Component:
    purl = PackageURL("pypi", None, wheel.name, wheel.version, {"file_name": wheel.file})
    return Component(
        type=ComponentType.LIBRARY,
        name=wheel.name,
        version=wheel.version,
        bom_ref=str(purl),
        purl=purl,
        hashes=_sha256(wheel.sha256),
        licenses=_declared(wheel.licence),
        components=[_file(one) for one in files],
    )


def _debian(one: LicensedPackage, system: str) -> Component:
    package = one.package
    qualifiers = {"arch": package.architecture, "distro": system}
    purl = PackageURL(
        "deb", "debian", package.name, package.version, {k: v for k, v in qualifiers.items() if v}
    )
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=str(purl),
        purl=purl,
        evidence=ComponentEvidence(licenses=[DisjunctiveLicense(name=name) for name in one.licences]),
        properties=_properties({"ingot:debian:source": package.source}),
    )


def _normalised(name: str) -> str:
    """Write a distribution's name as wheels are pinned by: metadata has it as its author likes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _python(one: PythonPackage, wheel: PinnedWheel | None) -> Component:
    purl = PackageURL("pypi", None, one.name, one.version, {"file_name": wheel.file} if wheel else None)
    return Component(
        type=ComponentType.LIBRARY,
        name=one.name,
        version=one.version,
        bom_ref=str(purl),
        purl=purl,
        hashes=_sha256(wheel.sha256) if wheel else (),
        licenses=_declared(one.licence),
    )


def _submodule(path: str, commit: str) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=path,
        version=commit,
        bom_ref=f"submodule:{path}",
        pedigree=Pedigree(commits=[Commit(uid=commit)]),
    )


def _file(one: ImageFile) -> Component:
    return Component(
        type=ComponentType.FILE, name=one.path, bom_ref=f"file:{one.path}", hashes=_sha256(one.sha256)
    )


def _patch(data: bytes) -> Patch:
    return Patch(type=PatchClassification.UNOFFICIAL, diff=Diff(text=_attached(data)))


def _licence(one: ImageFile) -> DisjunctiveLicense:
    """Attach a licence file as it is: which licence it is, is for people to say."""
    return DisjunctiveLicense(name=PurePosixPath(one.path).name, text=_attached(one.text or b""))


def _attached(data: bytes) -> AttachedText:
    return AttachedText(content=base64.b64encode(data).decode(), encoding=Encoding.BASE_64)


def _declared(expression: str) -> list[LicenseExpression]:
    return [LicenseExpression(expression)] if expression else []


def _sha256(value: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=value)]


def _properties(values: Mapping[str, str]) -> list[Property]:
    return [Property(name=name, value=str(value)) for name, value in values.items() if value]


def _name(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def _source_purl(url: str, commit: str, archive: SdistSource | None) -> PackageURL | None:
    if archive:
        package, _, version = archive.sdist.partition("==")
        return PackageURL("pypi", None, package, version)
    if not url:
        return None
    owner, _, name = url.removeprefix(_GITHUB).removesuffix(".git").partition("/")
    if url.startswith(_GITHUB) and name and "/" not in name:
        return PackageURL("github", owner, name, commit)
    return PackageURL("generic", None, _name(url), commit, {"vcs_url": f"git+{url}@{commit}"})
