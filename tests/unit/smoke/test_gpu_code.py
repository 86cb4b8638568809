import struct
from pathlib import Path

import pytest

from build.smoke.static.elf import BrokenElfError, sections
from build.smoke.static.fatbin import UnknownLayoutError, read_device_code
from build.smoke.static.gpu_code import promised_targets
from tests.layouts import ELF, Tree, elf
from tests.unit.smoke.samples import findings, results


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sm120.o", ["SASS sm_120 plain"]),
        ("sm120a.o", ["SASS sm_120a plain"]),
        ("sm120a-small.o", ["SASS sm_120a compressed"]),
        ("sm120f.o", ["SASS sm_120f plain"]),
        ("ptx120a.o", ["PTX compute_120a compressed"]),
        ("ptx120a-plain.o", ["PTX compute_120a plain"]),
        ("many.o", ["SASS sm_90 plain", "PTX compute_120a compressed", "SASS sm_120a plain"]),
        ("rdc.o", ["SASS sm_120a compressed"]),
        ("cuda-sm120a.so", ["SASS sm_120a plain"]),
        ("cuda-sm90.so", ["SASS sm_90 plain"]),
        ("libmini-base.so.0", []),
    ],
)
def test_entries_of_real_binaries(name: str, expected: list[str]) -> None:
    codes = read_device_code(ELF / name)
    assert [
        f"{code.kind} {code.target} {'compressed' if code.compressed else 'plain'}" for code in codes
    ] == expected
    assert not any(code.empty for code in codes)


def altered(tmp_path: Path, offset: int, new: bytes, section: str = ".nv_fatbin") -> Path:
    """sm120a.o with some bytes of a section overwritten."""
    data = bytearray((ELF / "sm120a.o").read_bytes())
    start = next(part.offset for part in sections(ELF / "sm120a.o") if part.name == section)
    data[start + offset : start + offset + len(new)] = new
    path = tmp_path / "altered.o"
    path.write_bytes(data)
    return path


ENTRY = 16


@pytest.mark.parametrize(
    ("offset", "new", "why"),
    [
        (0, b"\xff\xff\xff\xff", ".nv_fatbin+0x0 is no fat binary of version 1"),
        (4, b"\x02\x00", ".nv_fatbin+0x0 is no fat binary of version 1"),
        (6, b"\x20\x00", ".nv_fatbin+0x0 is no fat binary of version 1"),
        (8, struct.pack("<Q", 1 << 62), ".nv_fatbin+0x0 is no fat binary of version 1"),
        (ENTRY, b"\x08\x00", "an entry of kind 8, version 0x101"),
        (ENTRY + 2, b"\x02\x02", "an entry of kind 2, version 0x202"),
        (ENTRY + 4, struct.pack("<I", 8), "an entry of 8 + 5320 bytes where 5432 are left"),
        (ENTRY + 8, struct.pack("<Q", 1 << 40), f"an entry of 112 + {1 << 40} bytes where 5432 are left"),
        (ENTRY + 8, struct.pack("<Q", 0), "an entry of 112 + 0 bytes where 5432 are left"),
        (ENTRY + 16, struct.pack("<I", 9), "an entry with the flags 0x1100011 and 9 compressed bytes"),
        (ENTRY + 28, struct.pack("<I", 9), "an entry for the architecture 9"),
        (
            ENTRY + 28,
            struct.pack("<I", 90),
            "an entry for sm_90 with a cubin of machine 190, flags 0x6007802",
        ),
        (ENTRY + 40, struct.pack("<Q", 0x4000011), "an entry with the flags 0x4000011"),
        (ENTRY + 40, struct.pack("<Q", 0x1300011), "an entry with the flags 0x1300011"),
        (ENTRY + 112, b"\x00ELF", "an entry for sm_120 with a cubin of machine 190, flags 0x6007802"),
    ],
)
def test_a_layout_that_was_never_seen_is_refused(tmp_path: Path, offset: int, new: bytes, why: str) -> None:
    with pytest.raises(UnknownLayoutError) as caught:
        read_device_code(altered(tmp_path, offset, new))
    assert str(caught.value) == why


def test_the_host_code_must_know_every_fat_binary(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match=r"\.nvFatBinSegment is not made of version 1 wrappers"):
        read_device_code(altered(tmp_path, 0, b"\0\0\0\0", ".nvFatBinSegment"))
    with pytest.raises(UnknownLayoutError, match="0 fat binaries, 1 of them known to the host code"):
        read_device_code(altered(tmp_path, 0, bytes(5448)))


@pytest.mark.parametrize("size", [10, 100, 1000, 5000])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.o"
    path.write_bytes((ELF / "sm120a.o").read_bytes()[:size])
    with pytest.raises(BrokenElfError):
        read_device_code(path)


@pytest.mark.parametrize(
    ("architectures", "expected"),
    [
        (("120a-real",), ("sm_120a",)),
        (("120a-virtual",), ("compute_120a",)),
        (("120a",), ("sm_120a", "compute_120a")),
        (("90", "120f-real", "90-real"), ("sm_90", "compute_90", "sm_120f")),
    ],
)
def test_promises(architectures: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert promised_targets(architectures) == expected


LIBRARY = "app/libmini-cuda.so"


@pytest.mark.parametrize(
    ("change", "architectures", "expected"),
    [
        ({}, ("120a-real",), []),
        (
            {LIBRARY: elf("cuda-sm90.so")},
            ("120a-real",),
            [
                "/app/libmini-cuda.so holds SASS sm_90, the recipe promises 120a-real (sm_120a)",
                "no compiled library holds sm_120a, the recipe promises 120a-real (sm_120a)",
            ],
        ),
        (
            {LIBRARY: elf("cuda-sm120.so")},
            ("120a-real",),
            [
                "/app/libmini-cuda.so holds SASS sm_120 where sm_120a is meant, the recipe promises 120a-real (sm_120a)",
                "no compiled library holds sm_120a, the recipe promises 120a-real (sm_120a)",
            ],
        ),
        (
            {},
            ("120a",),
            ["no compiled library holds compute_120a, the recipe promises 120a (sm_120a, compute_120a)"],
        ),
        (
            {},
            ("120a-real", "90-real"),
            ["no compiled library holds sm_90, the recipe promises 120a-real, 90-real (sm_120a, sm_90)"],
        ),
        (
            {"app/plugin.so": elf("many.o")},
            ("120a-real",),
            [
                "/app/plugin.so holds SASS sm_90, the recipe promises 120a-real (sm_120a)",
                "/app/plugin.so holds PTX compute_120a, the recipe promises 120a-real (sm_120a)",
            ],
        ),
        (
            {LIBRARY: elf("libmini-base.so.0")},
            ("120a-real",),
            ["no compiled library below /app holds device code, the recipe promises 120a-real (sm_120a)"],
        ),
        ({}, ("native",), ["the architecture 'native' is not explicit, nothing can be compared with it"]),
        # NVIDIA's own libraries are shown and not judged.
        ({"app/libcublas.so.13": elf("many.o")}, ("120a-real",), []),
    ],
)
def test_compared_with_the_recipe(
    tmp_path: Path, change: Tree, architectures: tuple[str, ...], expected: list[str]
) -> None:
    assert findings(tmp_path, "gpu_code", change, architectures=architectures) == expected


def test_an_unknown_layout_fails(tmp_path: Path) -> None:
    odd = altered(tmp_path, ENTRY, b"\x08\x00").read_bytes()
    assert findings(tmp_path, "gpu_code", {"app/odd.so": odd}) == [
        "/app/odd.so: the device code cannot be read: an entry of kind 8, version 0x101"
    ]


def test_the_evidence_names_targets_and_kernel_identity(tmp_path: Path) -> None:
    first = results(tmp_path / "a", {"app/libcublas.so.13": elf("many.o")}, names=("gpu_code",))[
        "gpu_code"
    ].detail
    library = first["libraries"]["/app/libmini-cuda.so"]
    assert library["targets"] == {"SASS sm_120a": {"entries": 1, "compressed": 0, "bytes": 5320}}
    assert first["vendor"] == {
        "/app/libcudart.so.13": [],
        "/app/libcublas.so.13": ["compute_120a", "sm_120a", "sm_90"],
    }
    # Other host code around the same kernel.
    second = results(tmp_path / "b", {LIBRARY: elf("cuda-novmm.so")}, names=("gpu_code",))["gpu_code"].detail
    assert second["libraries"]["/app/libmini-cuda.so"]["identity"] == library["identity"]
    other = results(tmp_path / "c", {LIBRARY: elf("cuda-sm120.so")}, names=("gpu_code",))["gpu_code"].detail
    assert other["libraries"]["/app/libmini-cuda.so"]["identity"] != library["identity"]
