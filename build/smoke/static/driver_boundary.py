"""The image holds nothing of the driver, and nothing leads the loader to a stub of it or to a folder of the build."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from build.image.tree import Kind, printable
from build.recipe.model import Family
from build.smoke.model import Expectations
from build.smoke.static.driver import is_driver_file
from build.smoke.static.image import StaticCheck, StaticImage, Verdict
from build.smoke.static.loader import configured_folders

__all__ = ["CHECK", "check"]

_REQUIRE: Final = re.compile(r"cuda>=?(\d+)\.(\d+)")
_TO_STUBS: Final = "leads to stubs"
_LISTS: Final = ("LD_LIBRARY_PATH", "LD_PRELOAD")


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Look at names, SONAMEs, run paths, the loader's configuration and the NVIDIA_* variables."""
    faults = list(_run_paths(image))
    # Nobody here links published wheels. A run path into nowhere in one of them is noted, one to a stub is refused all the same.
    noted = [said for said in faults if expect.family is Family.PYTHON and not said.endswith(_TO_STUBS)]
    run_paths = [said for said in faults if said not in noted]
    findings = [*_files(image), *run_paths, *_configuration(image), *_variables(image, expect)]
    paths = {}
    for entry in image.built(expect) if expect.family is Family.PYTHON else image.below(expect.app):
        elf = image.elves.get(entry.path)
        if elf is not None and elf.rpath + elf.runpath:
            paths[printable(entry.path)] = ":".join(elf.rpath + elf.runpath)
    variables = {name: value for name, value in image.config.env if name.startswith(("NVIDIA_", "LD_"))}
    detail = {"run_paths": paths, "variables": variables, **({"noted": noted} if noted else {})}
    return Verdict(findings=tuple(findings), detail=detail)


CHECK: Final = StaticCheck(
    name="driver_boundary",
    protects="The GPU is lost on the user's host: a stub or a foreign driver in the image shadows the one that is injected.",
    run=check,
)


def _files(image: StaticImage) -> Iterator[str]:
    for entry in image.rootfs:
        folder, _, name = entry.path.rpartition("/")
        elf = image.elves.get(entry.path)
        if is_driver_file(name) and entry.kind is not Kind.FOLDER:
            yield f"{printable(entry.path)} belongs to the driver, which the container runtime injects"
        elif elf is not None and is_driver_file(elf.soname):
            yield f"{printable(entry.path)} is the driver's {elf.soname} under another name"
        elif _is_link_time(folder) and ".so" in name:
            yield f"{printable(entry.path)} lies in a folder of link-time libraries"


def _is_link_time(folder: str) -> bool:
    """Say whether a folder holds stubs, or the driver of the CUDA compatibility packages."""
    parts = folder.strip("/").split("/")
    return "stubs" in parts or any(
        part == "compat" and before.startswith("cuda") for before, part in pairwise(parts)
    )


def _objection(element: str) -> str:
    """Say why the loader must not search there; empty when it may."""
    path = element.strip()
    if not path:
        return "is empty, which means the current folder"
    if _is_link_time(path):
        return _TO_STUBS
    if path in {"/build", "/src"} or path.startswith(("/build/", "/src/")):
        return "leads to a folder of the build"
    return "" if path.startswith(("/", "$ORIGIN", "${ORIGIN}")) else "is relative to the current folder"


def _run_paths(image: StaticImage) -> Iterator[str]:
    for path, elf in sorted(image.elves.items()):
        for kind, elements in (("RPATH", elf.rpath), ("RUNPATH", elf.runpath)):
            for element in elements:
                why = _objection(element)
                if why:
                    yield f"{printable(path)}: the {kind} element '{element}' {why}"


def _configuration(image: StaticImage) -> Iterator[str]:
    for folder in configured_folders(image.rootfs):
        why = _objection(folder)
        if why:
            yield f"/etc/ld.so.conf: '{folder}' {why}"
    preload = image.rootfs.resolve("/etc/ld.so.preload")
    if preload is not None and preload.size:
        yield "/etc/ld.so.preload forces libraries into every program"
    for name in _LISTS:
        value = image.config.variable(name)
        for element in re.split(r"[: ]" if name == "LD_PRELOAD" else ":", value) if value else ():
            why = _objection(element)
            if why or is_driver_file(element.rpartition("/")[2]):
                yield f"{name}: '{element}' {why or 'belongs to the driver'}"


def _variables(image: StaticImage, expect: Expectations) -> Iterator[str]:
    env = dict(image.config.env)
    if env.get("NVIDIA_VISIBLE_DEVICES", "all") in {"", "none", "void"}:
        yield f"NVIDIA_VISIBLE_DEVICES is '{env['NVIDIA_VISIBLE_DEVICES']}': no GPU would be injected"
    capabilities = set(env.get("NVIDIA_DRIVER_CAPABILITIES", "all").split(","))
    if not capabilities & {"all", "compute"}:
        yield f"NVIDIA_DRIVER_CAPABILITIES is '{env['NVIDIA_DRIVER_CAPABILITIES']}': without compute there is no libcuda"
    toolkit = tuple(int(part) for part in expect.cuda.split(".")[:2])
    for match in _REQUIRE.finditer(env.get("NVIDIA_REQUIRE_CUDA", "")):
        if (int(match[1]), int(match[2])) > toolkit:
            yield f"NVIDIA_REQUIRE_CUDA asks for {match[0]}, the image is built with CUDA {expect.cuda}"
