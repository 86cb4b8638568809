"""An image with everything in it that a bill of materials speaks of, its plan, and a wheel."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from build.attest.contents import Contents, read_contents
from build.attest.sbom import Materials
from build.attest.wheels import Wheel, read_wheels
from build.image.layout import Layout, open_layout
from build.image.model import BuildRun, BuiltImage
from build.plan.model import ImagePlan
from build.plan.plan import make_plan
from tests.layouts import Tree, elf, symlink, write_layout
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES

__all__ = [
    "LICENCE",
    "PATCH",
    "RUN",
    "STATUS",
    "TREES",
    "built",
    "contents",
    "layout",
    "make_wheel",
    "materials",
    "plan",
]

LICENCE = b"You may.\n"
PATCH = b"--- a/a.cpp\n+++ b/a.cpp\n"
STATUS = b"""Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b13

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14+deb12u1
"""
DEP5 = b"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-3+
 not a License: line of its own
  License: neither

Files: doc/*
License: GFDL-NIV-1.3

License: GPL-3+
 The text.
"""
TREES: tuple[Tree, ...] = (
    {
        "etc/os-release": b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/bash/copyright": DEP5,
        "usr/share/doc/gcc-12-base/copyright": b"This is the GCC. License: read it.\n",
        "usr/share/doc/libgcc-s1": symlink("gcc-12-base"),
        "usr/bin/bash": elf("server"),
    },
    {"app/libcudart.so.13": elf("libcudart.so.13"), "app/licenses/nvidia/nvidia_cuda_runtime.txt": LICENCE},
    {
        "app/server": elf("server"),
        "app/licenses/LICENSE": LICENCE,
        "app/notes.txt": b"no binary",
        "opt/site-packages/one-1.dist-info/METADATA": b"Metadata-Version: 2.4\nName: one\nVersion: 1\nLicense-Expression: MIT\n\nLicense-Expression: no\n",
    },
)
RUN = BuildRun(
    started="2026-03-02T08:00:00Z",
    finished="2026-03-02T09:00:00Z",
    commit="c" * 40,
    changed=True,
    repository="https://git.example.org/recipes.git",
)


def layout(path: Path, trees: tuple[Tree, ...] = TREES) -> Layout:
    return open_layout(write_layout(path / "layout", trees))


def contents(path: Path, trees: tuple[Tree, ...] = TREES) -> Contents:
    return read_contents(layout(path, trees), path / "scratch")


def plan() -> ImagePlan:
    return make_plan(RECIPE, "no-vmm", PIN, templates=TEMPLATES, places=PLACES)


def built(path: Path) -> BuiltImage:
    image = layout(path)
    return BuiltImage(
        recipe="mini", variant="no-vmm", fingerprint=plan().fingerprint, digest=image.digest,
        config_digest=image.config_digest, platform="linux/amd64", size=1, layers=image.layers, seconds={},
        compile_cache={}, engine={"buildx": "0.13", "buildkit": "v0.12"}, run=RUN,
    )  # fmt: skip


def make_wheel(
    folder: Path, name: str = "nvidia_cuda_runtime", files: Mapping[str, bytes] | None = None
) -> Path:
    """Write a wheel that holds the image's libcudart and its licence, unless other files are given."""
    info = f"{name}-13.0.96.dist-info"
    libcudart = elf("libcudart.so.13").data
    held = (
        files
        if files is not None
        else {"lib/libcudart.so.13": libcudart, f"{info}/licenses/License.txt": LICENCE}
    )
    metadata = f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: 13.0.96\nLicense-Expression: LicenseRef-X\n"
    rows = [f"{path},sha256={_record(data)},{len(data)}" for path, data in held.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-13.0.96-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, data in held.items():
            archive.writestr(zipfile.ZipInfo(inner), data)
        archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), metadata)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*rows, f"{info}/RECORD,,"]))
    return path


def _record(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def materials(path: Path, wheels: tuple[Wheel, ...] | None = None) -> Materials:
    if wheels is None:
        make_wheel(path / "wheels")
        make_wheel(path / "wheels", "nvidia_cuda_nvcc", {"bin/nvcc": b"compiler"})
        wheels = read_wheels(path / "wheels")
    image = built(path)
    return Materials(
        plan=replace(plan()),
        built=image,
        contents=contents(path),
        wheels=wheels,
        patches={"mini/0001-a.patch": PATCH},
    )
