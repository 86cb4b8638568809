"""What can be known of an image without running it, as types, and how it is read from a folder of artifacts.

What is not known is said with its reason, never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from build.doors import store
from build.errors import BadRequest
from build.image.model import BuiltImage, Layer
from build.pin.model import Pin, PinnedSource
from build.plan.model import ImagePlan
from build.report.detail import Detail
from build.smoke.clihelp import HelpFlag, ImageHelp
from build.smoke.model import SmokeReport

__all__ = ["ImageFacts", "Kernels", "Missing", "SourceFacts", "kernels_in", "labelled", "read_facts"]

T = TypeVar("T")

_OCI: Final = "org.opencontainers.image"
_TOOLCHAIN: Final = (
    ("CUDA", "ingot.cuda"),
    ("architectures", "ingot.architectures"),
    ("driver", "ingot.driver"),
    ("oldest driver", "ingot.driver.minimum"),
    ("base image", f"{_OCI}.base.digest"),
)
_SHORT: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that is not known of an image, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What was compiled."""

    url: str
    """Where people find it, without `.git`."""
    commit: str
    version: str = ""
    repo: str = ""
    """Address that the mirror was fetched from; empty for source archives, and where only labels tell of the source."""
    submodules: tuple[tuple[str, str], ...] | None = None
    """Path and commit; None where only labels tell of the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The device code of one library."""

    library: str
    identity: str
    """Equal for equal kernels, whatever the host code around them."""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One side of a comparison."""

    name: str
    """As it was asked for."""
    source: SourceFacts | Missing
    patches: tuple[tuple[str, str], ...] | Missing
    """File and the beginning of its hash, in order."""
    toolchain: tuple[tuple[str, str], ...] | Missing
    """What the labels say it was built with and stands on."""
    pinned: tuple[tuple[str, str], ...] | Missing
    """What only the pin knows of toolchain, base and wheels: locks, origins, versions."""
    flags: tuple[HelpFlag, ...] | Missing
    kernels: tuple[Kernels, ...] | Missing
    layers: tuple[Layer, ...] | Missing
    labels: tuple[tuple[str, str], ...] | Missing


def read_facts(name: str, folder: Path) -> ImageFacts:
    """Read what the artifacts in a folder tell of an image, or of one that is only planned.

    Raises:
        BadRequest: there are none.
    """
    plan = store.read_known(folder / "plan.json", ImagePlan)
    pin = plan.pin if plan else store.read_known(folder / "pin.json", Pin)
    built = _read(folder / "image.json", BuiltImage, "the image was not built")
    if pin is None and isinstance(built, Missing):
        message = f"{folder} holds no pin.json, plan.json or image.json of this version"
        raise BadRequest(message, hint=f"nox -s build -- {name}")
    if plan and isinstance(built, BuiltImage) and built.fingerprint != plan.fingerprint:
        built = Missing(reason="the image there is of an earlier plan: build it again")
    unplanned = Missing(reason=f"{folder / 'plan.json'} is not there, or of another version")
    unpinned = Missing(reason=f"{folder / 'pin.json'} is not there, or of another version")
    labels = dict(plan.labels) if plan else {}
    return ImageFacts(
        name=name,
        source=_source(pin.source, labels) if pin else unpinned,
        patches=tuple((one.file, one.sha256[:_SHORT]) for one in pin.source.patches) if pin else unpinned,
        toolchain=_toolchain(labels) if plan else unplanned,
        pinned=_pinned(pin) if pin else unpinned,
        flags=_flags(folder, built),
        kernels=_kernels(folder, built),
        layers=built if isinstance(built, Missing) else built.layers,
        labels=plan.labels if plan else unplanned,
    )


def labelled(
    name: str,
    labels: tuple[tuple[str, str], ...],
    *,
    layers: tuple[Layer, ...],
    kernels: tuple[Kernels, ...] | Missing,
) -> ImageFacts:
    """Return what an image itself tells: its labels, its layers and its device code. Pure."""
    said = dict(labels)
    foreign = Missing(reason="the image has none of Ingot's labels")
    unpinned = Missing(reason="only the folder that it was built in has its pin")
    commit, url = said.get(f"{_OCI}.revision", ""), said.get(f"{_OCI}.source", "")
    source = SourceFacts(url=url, commit=commit, version=said.get(f"{_OCI}.version", ""))
    ours = "ingot.recipe" in said
    return ImageFacts(
        name=name,
        source=source if commit else Missing(reason=f"the image has no label {_OCI}.revision"),
        patches=_labelled_patches(said.get("ingot.patches", "")) if ours else foreign,
        toolchain=_toolchain(said) if ours else foreign,
        pinned=unpinned,
        flags=Missing(
            reason="an image tells its flags only when it is run: smoke does that where it is built"
        ),
        kernels=kernels,
        layers=layers,
        labels=labels,
    )


def kernels_in(detail: Mapping[str, Any]) -> tuple[Kernels, ...] | Missing:
    """Take the device code out of what the check `gpu_code` found. Pure."""
    libraries = detail.get("libraries")
    if not isinstance(libraries, dict):
        return Missing(reason="the check gpu_code did not read the libraries")
    found = Detail.of(libraries).items()
    kernels = tuple(
        Kernels(library=path, identity=one.text("identity"), targets=one.child("targets").names())
        for path, one in sorted(found, key=lambda item: item[0])
    )
    if not all(one.identity for one in kernels):
        return Missing(reason="the check gpu_code named no identity of the device code")
    return kernels


def _read(path: Path, kind: type[T], otherwise: str) -> T | Missing:
    found = store.read_known(path, kind)
    if found is not None:
        return found
    there = f"{path} is not what this version of the pipeline writes" if path.exists() else otherwise
    return Missing(reason=there)


def _source(pinned: PinnedSource, labels: Mapping[str, str]) -> SourceFacts:
    return SourceFacts(
        url=pinned.url.removesuffix(".git"),
        commit=pinned.commit,
        version=labels.get(f"{_OCI}.version", ""),
        repo="" if pinned.archive_sha256 else pinned.url,
        submodules=pinned.submodules,
    )


def _toolchain(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, labels[label]) for name, label in _TOOLCHAIN if label in labels)


def _labelled_patches(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (file, print_) for file, _, print_ in (one.rpartition("@") for one in text.split(";") if one)
    )


def _pinned(pin: Pin) -> tuple[tuple[str, str], ...]:
    facts: list[tuple[str, str]] = []
    for what, image in (("toolchain", pin.toolchain), ("base", pin.base)):
        if image is None:
            continue
        facts += [(f"{what} lock", image.lock[:_SHORT]), (f"{what} origin", image.origin)]
        packages = (re.split("=", package, maxsplit=1) for package in image.packages)
        facts += [(f"{what} package {name}", "".join(version)) for name, *version in packages]
    facts += [
        (f"wheel {wheel.name}", f"{wheel.version} {wheel.sha256[:_SHORT]}") for wheel in pin.source.wheels
    ]
    return tuple(facts)


def _flags(folder: Path, built: BuiltImage | Missing) -> tuple[HelpFlag, ...] | Missing:
    if isinstance(built, Missing):
        return built
    listed = _read(folder / "help.json", ImageHelp, "smoke has not read the image's help")
    if isinstance(listed, Missing):
        return listed
    if listed.digest != built.digest:
        return Missing(reason="help.json is of another image: smoke-test it again")
    return listed.flags


def _kernels(folder: Path, built: BuiltImage | Missing) -> tuple[Kernels, ...] | Missing:
    if isinstance(built, Missing):
        return built
    report = _read(folder / "smoke.json", SmokeReport, "the image was not smoke-tested")
    if isinstance(report, Missing):
        return report
    if report.digest != built.digest:
        return Missing(reason="smoke.json is of another image: smoke-test it again")
    return next(
        (kernels_in(check.detail) for check in report.checks if check.name == "gpu_code"),
        Missing(reason="smoke.json has no check gpu_code"),
    )
