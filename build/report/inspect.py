"""What an image says of itself and what is attached to it, read back from a registry or from out/, and how it is made again.

Reads manifest, configuration and what refers to the image, never a layer; runs nothing.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build.attest.model import PROVENANCE, SBOM
from build.doors.jsonvalues import MalformedError
from build.doors.registry import parse_reference
from build.errors import BadRequest, NothingSelected, WorkFailed
from build.image.config import ImageConfig
from build.image.layout import open_layout
from build.plan.labels import labelled_patches
from build.publish.published import contents_of
from build.publish.pulled import image_manifest, read_config
from build.recipe.naming import directory_name, tag_of
from build.recipe.refs import Digest
from build.report.attached import NOTHING, Attached, AttachedSource, read_attached, read_bill, read_claim

__all__ = ["Inspected", "InspectedLayer", "Inspector", "LabelledPatch"]

_OCI = "org.opencontainers.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPatch:
    """A patch as a label names it."""

    file: str
    sha256: str
    """The hash's first 12 digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedLayer:
    """A layer of the manifest."""

    digest: Digest
    size: int
    what: str
    """The instruction that made it; empty where the image does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """An image by its own words. Empty: it does not say."""

    name: str
    """As it was asked for."""
    digest: Digest
    config_digest: Digest
    platform: str
    ours: bool
    """It has Ingot's labels."""
    recipe: str
    variant: str
    version: str
    source: str
    commit: str
    created: str
    """Date of the upstream commit."""
    patches: tuple[LabelledPatch, ...]
    cuda: str
    architectures: tuple[str, ...]
    driver: str
    driver_minimum: str
    base_digest: str
    fingerprint: str
    tag: str
    """The immutable one that its labels give."""
    size: int
    """Compressed bytes of all layers."""
    layers: tuple[InspectedLayer, ...]
    labels: tuple[tuple[str, str], ...]
    rebuild: tuple[str, ...] = ()
    """Commands that make it again, in the repository that has its recipe."""
    attached: Attached = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """Where images are looked for."""

    out: Path
    recipes: Mapping[str, str]
    """The recipes of this tree, and the upstream commit that each pins."""
    registry: Callable[[], AttachedSource]

    def inspect(self, name: str) -> Inspected:
        """Read what an image says of itself: out/<name>, or a tag or digest of a registry.

        Raises:
            NothingSelected: the registry answers and does not have it, or nothing is called so.
            Unavailable: the registry cannot be reached or refuses access.
            BadRequest: the recipe was not built, or the name is no reference.
        """
        folder = self.out / name
        if folder.parent == self.out and (folder / "image" / "index.json").is_file():
            return self._from_layout(name, folder / "image")
        if "/" in name or ":" in name or "@" in name:
            return self._from_registry(name)
        if name.partition("+")[0] in self.recipes:
            message = f"{name} has no image below {self.out}"
            raise BadRequest(message, hint=f"{_build(*_halves(name))}, or name a tag of a registry")
        message = f"there is no recipe or image called {name}"
        raise NothingSelected(
            message, hint="registry/name:tag, registry/name@sha256:..., or a recipe that was built"
        )

    def _from_layout(self, name: str, path: Path) -> Inspected:
        layout = open_layout(path)
        layers = tuple(
            InspectedLayer(digest=layer.digest, size=layer.size, what=layer.what) for layer in layout.layers
        )
        told = self._told(
            name, layout.config, layers, digest=layout.digest, config_digest=layout.config_digest
        )
        return replace(told, attached=_beside(path.parent, layout.digest))

    def _from_registry(self, name: str) -> Inspected:
        ref, registry = parse_reference(name), self.registry()
        manifest = image_manifest(ref, registry)
        try:
            contents = contents_of(manifest)
            config = read_config(ref, contents.config, registry)
        except MalformedError as error:
            message = f"{ref} cannot be read: {error}"
            raise WorkFailed(
                message, hint="it is no image for linux/amd64 as the OCI describes them"
            ) from error
        steps = [step.created_by for step in config.history if not step.empty_layer]
        steps = steps if len(steps) == len(contents.layers) else [""] * len(contents.layers)
        layers = tuple(
            InspectedLayer(digest=digest, size=size, what=what)
            for digest, size, what in zip(contents.layers, contents.sizes, steps, strict=True)
        )
        told = self._told(name, config, layers, digest=manifest.digest, config_digest=contents.config)
        subject = replace(ref, tag="", digest=manifest.digest)
        attached = read_attached(subject, registry)
        from_registry = (shlex.join(("./noxw", "-s", "verify", "--", "--image", str(subject))),)
        return replace(
            told, attached=attached, rebuild=(*(from_registry if attached.bundles else ()), *told.rebuild)
        )

    def _told(
        self,
        name: str,
        config: ImageConfig,
        layers: tuple[InspectedLayer, ...],
        *,
        digest: Digest,
        config_digest: Digest,
    ) -> Inspected:
        said = dict(config.labels)

        def oci(key: str) -> str:
            return said.get(f"{_OCI}.{key}", "")

        def own(key: str) -> str:
            return said.get(f"ingot.{key}", "")

        architectures = tuple(filter(None, own("architectures").split(";")))
        ours = bool(own("recipe") and own("fingerprint"))
        tag = tag_of(oci("version"), own("cuda"), architectures, own("variant"), own("fingerprint"))
        return Inspected(
            name=name,
            digest=digest,
            config_digest=config_digest,
            platform=f"{config.os}/{config.architecture}",
            ours=ours,
            recipe=own("recipe"),
            variant=own("variant"),
            version=oci("version"),
            source=oci("source"),
            commit=oci("revision"),
            created=oci("created"),
            patches=_patches(own("patches")),
            cuda=own("cuda"),
            architectures=architectures,
            driver=own("driver"),
            driver_minimum=own("driver.minimum"),
            base_digest=oci("base.digest"),
            fingerprint=own("fingerprint"),
            tag=tag if ours else "",
            size=sum(layer.size for layer in layers),
            layers=layers,
            labels=config.labels,
            rebuild=self._rebuild(name, own("recipe"), own("variant"), oci("revision")) if ours else (),
        )

    def _rebuild(self, name: str, recipe: str, variant: str, commit: str) -> tuple[str, ...]:
        """Say what to type. The recipe's own state is not in the image: git finds it by the upstream commit."""
        found = (
            ()
            if not commit or self.recipes.get(recipe) == commit
            else (_pickaxe(recipe, commit), "git checkout <the last commit that it lists>")
        )
        folder = directory_name(recipe, variant)
        compare = () if name == folder else (shlex.join(("./noxw", "-s", "diff", "--", name, folder)),)
        return (*found, _build(recipe, variant), *compare)


def _beside(out: Path, image: Digest) -> Attached:
    """Read what `attest` wrote beside a layout. Of another image, it is none."""
    try:
        bill = read_bill((out / SBOM).read_bytes(), image)
        claim = read_claim((out / PROVENANCE).read_bytes(), image)
    except (FileNotFoundError, MalformedError):
        return NOTHING
    return Attached(bill=bill, claims=(claim,))


def _pickaxe(recipe: str, commit: str) -> str:
    """List the changes that took the pin up or gave it up, newest first: the last one took it up."""
    return shlex.join(("git", "log", "--oneline", f"-S{commit}", "--", f"recipes/{recipe}.yaml"))


def _build(recipe: str, variant: str) -> str:
    """Write the command; the names are labels of an image, which may be anybody's."""
    return shlex.join(("./noxw", "-s", "build", "--", recipe, *(("--variant", variant) if variant else ())))


def _halves(name: str) -> tuple[str, str]:
    recipe, _, variant = name.partition("+")
    return recipe, variant


def _patches(label: str) -> tuple[LabelledPatch, ...]:
    return tuple(LabelledPatch(file=file, sha256=digest) for file, digest in labelled_patches(label))
