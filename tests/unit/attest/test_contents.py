"""What is read out of an image's layers, and what is not invented."""

import hashlib
from pathlib import Path

import pytest

from build.attest.contents import ImageFile, LicensedPackage, PythonPackage, read_contents
from build.image.layout import BrokenLayout
from build.pin.debian import DebianPackage
from tests.layouts import elf
from tests.unit.attest.making import LICENCE, TREES, contents, layout


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_all_that_the_image_says(tmp_path: Path) -> None:
    found = contents(tmp_path)
    assert found.os == "debian-12"
    assert found.packages == (
        LicensedPackage(
            package=DebianPackage(name="bash", version="5.2.15-2+b13", architecture="amd64", source="bash"),
            licences=("GFDL-NIV-1.3", "GPL-3+"),
        ),
        LicensedPackage(
            package=DebianPackage(
                name="libgcc-s1",
                version="12.2.0-14+deb12u1",
                architecture="amd64",
                source="gcc-12 (12.2.0-14)",
            ),
            licences=(),
        ),
    )
    assert found.binaries == (
        ImageFile(path="/app/libcudart.so.13", sha256=sha256(elf("libcudart.so.13").data)),
        ImageFile(path="/app/server", sha256=sha256(elf("server").data)),
    )
    assert [(one.path, one.text) for one in found.licences] == [
        ("/app/licenses/LICENSE", LICENCE),
        ("/app/licenses/nvidia/nvidia_cuda_runtime.txt", LICENCE),
    ]
    assert found.python == (PythonPackage(name="one", version="1", licence="MIT"),)


def test_an_image_that_says_nothing_has_nothing(tmp_path: Path) -> None:
    found = contents(tmp_path, ({"app/notes": b"x"},))
    assert (found.os, found.packages, found.python, found.binaries, found.licences) == ("", (), (), (), ())


def test_what_a_later_layer_hides_is_not_there(tmp_path: Path) -> None:
    found = contents(tmp_path, (*TREES, {"app/.wh.server": b""}))
    assert [one.path for one in found.binaries] == ["/app/libcudart.so.13"]


def test_a_name_that_is_a_command_to_a_terminal_is_escaped(tmp_path: Path) -> None:
    found = contents(tmp_path, (*TREES, {"app/\x1b[31m": elf("libcudart.so.13")}))
    assert found.binaries[0].path == "/app/\\x1b[31m"


def test_copies_that_a_package_vendors_are_not_installed(tmp_path: Path) -> None:
    said = b"Metadata-Version: 2.1\nName: %s\nVersion: 1\n"
    site = "opt/venv/lib/python3.11/site-packages"
    found = contents(
        tmp_path,
        (
            {
                f"{site}/setuptools-1.dist-info/METADATA": said % b"setuptools",
                f"{site}/setuptools/_vendor/wheel-1.dist-info/METADATA": said % b"wheel",
                "usr/lib/python3/dist-packages/six-1.dist-info/METADATA": said % b"six",
                "app/packages/loose-1.dist-info/METADATA": said % b"loose",
            },
        ),
    )
    assert [one.name for one in found.python] == ["setuptools", "six"]


def test_a_changed_layer_is_refused(tmp_path: Path) -> None:
    image = layout(tmp_path)
    (tmp_path / "layout" / "blobs" / "sha256" / image.layers[1].digest.hex).write_bytes(b"other")
    with pytest.raises(BrokenLayout, match="gzip stream is damaged"):
        read_contents(image, tmp_path / "scratch")
