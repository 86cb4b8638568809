"""ELF files with one section changed; module ids as nvcc writes them."""

import shutil
from pathlib import Path

import pytest

from build.smoke.static.elf import sections
from build.verify.elfparts import compare_elf
from build.verify.parts import module_ids, telling, without_ids

DATA = Path(__file__).parents[2] / "data" / "elf"


def patched(tmp_path: Path, name: str, section: str, at: int, data: bytes) -> tuple[str, ...]:
    """Overwrite bytes of a section and say how the file differs from what it was."""
    one, other = DATA / name, tmp_path / "other"
    shutil.copy(one, other)
    (part,) = (part for part in sections(one) if part.name == section)
    assert at + len(data) <= part.size
    with other.open("r+b") as file:
        file.seek(part.offset + at)
        file.write(data)
    parts = compare_elf(one, other)
    return tuple(f"{part.section}: {part.what}: {part.before}, then {part.after}" for part in parts)


@pytest.mark.parametrize(
    ("name", "section", "at", "data", "words"),
    [
        ("server", ".text", 0, b"\x90" * 4, ".text: other bytes: , then "),
        (
            "cuda-sm120a.so",
            ".nv_fatbin",
            1800,
            b"\1\2\3",
            ".nv_fatbin: another kernel .text._Z5scalePff, in 1 of 1",
        ),
    ],
)
def test_a_section(tmp_path: Path, name: str, section: str, at: int, data: bytes, words: str) -> None:
    found = patched(tmp_path, name, section, at, data)
    assert any(line.startswith(words) for line in found), found


def test_equal_files_differ_nowhere_but_in_what_no_section_holds(tmp_path: Path) -> None:
    one, other = DATA / "server", tmp_path / "other"
    data = one.read_bytes()
    other.write_bytes(data + b"\0")
    assert [(part.section, part.what) for part in compare_elf(one, other)] == [
        ("headers", "equal sections, at other places or under other headers")
    ]


def test_other_files_name_their_sections() -> None:
    found = [
        f"{part.section}: {part.what}"
        for part in compare_elf(DATA / "cuda-vmm-unlinked.so", DATA / "cuda-runpath-stubs.so")
    ]
    assert ".dynamic: RUNPATH" in found
    targets = compare_elf(DATA / "cuda-sm120.so", DATA / "cuda-sm120a.so")
    assert any(part.what == "other entries" and "sm_120," not in part.after for part in targets), targets


PATH_ID = b"_INTERNAL_1d5793a8_16_matvec_f32_64_cu_716c7df9"
NESTED = b"_ZN47" + PATH_ID + b"4mini49_GLOBAL__N__1d5793a8_16_matvec_f32_64_cu_716c7df911high_nibbleE"
PROCESS = b"_ZN50" + PATH_ID + b"_454mini52_GLOBAL__N__1d5793a8_16_matvec_f32_64_cu_716c7df9_4511high_nibbleE"
ADJOINING = b"_ZN13_INTERNAL_xx45_GLOBAL__N__acbdad0f_10_kernels_cu_0b5bb054_454545_GLOBAL__N__acbdad0f_10_kernels_cu_0b5bb054_45E"


def test_ids_are_found_by_their_length() -> None:
    assert module_ids(NESTED) == {PATH_ID, b"_GLOBAL__N__1d5793a8_16_matvec_f32_64_cu_716c7df9"}
    assert PATH_ID + b"_45" in module_ids(PROCESS)
    assert without_ids(NESTED) == without_ids(PROCESS) == b"_ZN@4mini@11high_nibbleE"
    assert all(len(one) < 60 for one in module_ids(ADJOINING))
    assert module_ids(b"__nv_static_36__acbdad0f_10_kernels_cu_0b5bb054_4567_rest") == {
        b"acbdad0f_10_kernels_cu_0b5bb054_4567"
    }
    assert module_ids(b"99999999999_INTERNAL_1d5793a8_ 9_INTERNAL_1d5793a8_") <= {b"_INTERNAL"}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (b"\0Jan  1 2026\0", b"\0Feb 28 2026\0", "an embedded date or time: Jan  1 2026, then Feb 28 2026"),
        (b"\x0012:00:01\0", b"\x0012:00:02\0", "an embedded date or time: 12:00:01, then 12:00:02"),
        (b"built 2026-01-01", b"built 2026-01-02", "an embedded date or time: 2026-01-01, then 2026-01-02"),
        (b"/build/a/x.cpp", b"/build/b/x.cpp", "an embedded path: /build/a/x.cpp, then /build/b/x.cpp"),
        (b"some words", b"sOme words", "another text: some words, then sOme words"),
        (NESTED, PROCESS, "module id: "),
        (b"\1\2\3", b"\1\2\4", ""),
    ],
)
def test_what_tells_where_it_comes_from(one: bytes, other: bytes, words: str) -> None:
    found = [f"{part.what}: {part.before}, then {part.after}" for part in telling(".rodata", one, other)]
    assert len(found) == (1 if words else 0)
    assert not words or found[0].startswith(words)
