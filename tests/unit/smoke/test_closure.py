import struct
from pathlib import Path

import pytest

from build.recipe.model import Driver
from build.smoke.model import Outcome
from tests.layouts import Node, Tree, elf, hardlink, symlink
from tests.unit.smoke.samples import MULTIARCH, findings, results

LIBC = f"/{MULTIARCH}/libc.so.6"

NOWHERE = {"app/.wh.libmini-base.so.0": b"", "app/.wh.libmini-base.so.0.1": b""}


def cache(names: dict[str, str]) -> bytes:
    """An ld.so.cache in glibc's format."""
    start = 48 + 24 * len(names)
    strings, entries = b"", b""
    for name, path in names.items():
        entries += struct.pack(
            "<iIIIQ", 0x303, start + len(strings), start + len(strings) + len(name) + 1, 0, 0
        )
        strings += f"{name}\0{path}\0".encode()
    return struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(names), len(strings)) + entries + strings


def moved(to: str) -> Tree:
    return {**NOWHERE, f"{to}/libmini-base.so.0": elf("libmini-base.so.0")}


def test_the_evidence_is_a_tree(tmp_path: Path) -> None:
    detail = results(tmp_path, names=("closure",))["closure"].detail
    assert detail["injected"] == ["libcuda.so.1"]
    libc = {"path": f"/{MULTIARCH}/libc.so.6"}
    base = {"path": "/app/libmini-base.so.0.1"}
    assert detail["tree"] == {
        "path": "/app/server",
        "needs": {
            "libmini-base.so.0": base
            | {
                "needs": {
                    "libc.so.6": libc
                    | {
                        "needs": {
                            "ld-linux-x86-64.so.2": {"path": "/usr/lib64/ld-linux-x86-64.so.2", "needs": {}}
                        }
                    }
                }
            },
            "libmini-cuda.so": {
                "path": "/app/libmini-cuda.so",
                "needs": {
                    "libmini-base.so.0": base,
                    "libcudart.so.13": {"path": "/app/libcudart.so.13", "needs": {"libc.so.6": libc}},
                    "libc.so.6": libc,
                    "libcuda.so.1": {"path": "", "from": "driver"},
                },
            },
            "libc.so.6": libc,
        },
    }
    assert detail["others"] == []


def test_what_the_server_is_not_linked_to_is_drawn_beside_it(tmp_path: Path) -> None:
    plugin = {
        "app/libplugin.so": elf("cuda-novmm.so", mode=0o644),
        f"{MULTIARCH}/libbase.so": elf("libcudart.so.13"),
    }
    detail = results(tmp_path, plugin, names=("closure",))["closure"].detail
    (other,) = detail["others"]
    assert other["path"] == "/app/libplugin.so"
    assert other["needs"]["libmini-base.so.0"] == {"path": "/app/libmini-base.so.0.1"}, "drawn above"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            NOWHERE,
            [
                "/app/server needs libmini-base.so.0: it is nowhere in the image",
                "/app/libmini-cuda.so needs libmini-base.so.0: it is nowhere in the image",
            ],
        ),
        (
            {"app/.wh.libmini-base.so.0.1": b""},
            [
                "/app/libmini-base.so.0 is a link to libmini-base.so.0.1, which is not there",
                "/app/server needs libmini-base.so.0: it is nowhere in the image",
                "/app/libmini-cuda.so needs libmini-base.so.0: it is nowhere in the image",
            ],
        ),
        (
            {f"{MULTIARCH}/libc.so.6": elf("libc-old.so.6")},
            [
                f"/app/server wants GLIBC_2.34 of libc.so.6, which {LIBC} does not have (its newest is GLIBC_2.2.5)"
            ],
        ),
        (
            {"app/libmini-base.so.0.1": b""},
            [
                "/app/server needs libmini-base.so.0: /app/libmini-base.so.0 is empty",
                "/app/libmini-cuda.so needs libmini-base.so.0: /app/libmini-base.so.0 is empty",
            ],
        ),
        (
            {"app/libmini-base.so.0.1": b"INPUT(libx.so)"},
            [
                "/app/server needs libmini-base.so.0: /app/libmini-base.so.0 is no ELF file",
                "/app/libmini-cuda.so needs libmini-base.so.0: /app/libmini-base.so.0 is no ELF file",
            ],
        ),
        (
            {"usr/lib64/.wh.ld-linux-x86-64.so.2": b""},
            [
                "/app/server is started by /lib64/ld-linux-x86-64.so.2, which is nowhere in the image",
                f"/{MULTIARCH}/libc.so.6 needs ld-linux-x86-64.so.2: it is nowhere in the image",
            ],
        ),
        (
            {"app/libmini-cuda.so": elf("cuda-missing.so")},
            ["/app/libmini-cuda.so calls mini_forgotten, which nothing that it loads provides"],
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "closure", change) == expected


def test_a_cut_library_is_named_with_its_sizes(tmp_path: Path) -> None:
    whole = elf("libmini-base.so.0").data
    found = findings(tmp_path, "closure", {"app/libmini-base.so.0.1": whole[:3000]})
    assert found[0] == f"/app/libmini-base.so.0.1 is cut: 3000 bytes, its headers speak of {len(whole)}"
    assert found[1].startswith(
        "/app/server needs libmini-base.so.0: /app/libmini-base.so.0 is cut: 3000 bytes"
    )


@pytest.mark.parametrize("size", [4, 20, 64, 200, 1000])
def test_a_cut_library_never_breaks_the_check(tmp_path: Path, size: int) -> None:
    found = findings(tmp_path, "closure", {"app/libmini-base.so.0.1": elf("libmini-base.so.0").data[:size]})
    assert found[0].startswith("/app/libmini-base.so.0.1 is ")


def test_a_library_of_another_machine_is_passed_over_as_the_loader_does(tmp_path: Path) -> None:
    arm = bytearray(elf("libmini-base.so.0").data)
    arm[18:20] = (183).to_bytes(2, "little")
    foreign = {"app/libmini-base.so.0.1": bytes(arm)}
    assert findings(tmp_path / "a", "closure", foreign)[0] == (
        "/app/server needs libmini-base.so.0: /app/libmini-base.so.0 is for EM_AARCH64/64, wanted is EM_X86_64/64"
    )
    behind: Tree = {**foreign, "usr/lib/libmini-base.so.0": elf("libmini-base.so.0")}
    # The foreign one stays a library that cannot be loaded itself.
    assert not [line for line in findings(tmp_path / "b", "closure", behind) if "/app/server" in line]


@pytest.mark.parametrize(
    ("change", "config"),
    [
        (moved("usr/lib"), {}),
        (moved("lib64"), {}),
        (moved("opt/x"), {"Env": ["LD_LIBRARY_PATH=/opt/y:/opt/x"]}),
        ({**moved("opt/x"), "etc/ld.so.conf.d/x.conf": b"# x\n/opt/x/ # here\n"}, {}),
        ({**moved("opt/x"), "etc/ld.so.conf": b"include ld.so.conf.d/*.conf\n/opt/x\n"}, {}),
        ({**moved("opt/x"), "etc/ld.so.cache": cache({"libmini-base.so.0": "/opt/x/libmini-base.so.0"})}, {}),
        ({"app/server": elf("server-rpath")}, {}),
        ({"app/bin/server": hardlink("app/server"), "bin/server": symlink("/app/server")}, {}),
    ],
)
def test_every_way_of_the_loader_is_taken(tmp_path: Path, change: Tree, config: dict[str, object]) -> None:
    result = results(tmp_path, change, config=config, names=("closure",))["closure"]
    allowed = "/app/bin/server"
    assert [line for line in result.reason.splitlines() if not line.startswith(allowed)] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({**moved("opt/x"), "etc/ld.so.conf.d/x.off": b"/opt/x\n"}, "it is nowhere in the image"),
        (
            {**moved("opt/x"), "etc/ld.so.conf.d/x.conf": b"/opt/x\n", "etc/ld.so.cache": cache({})},
            "/opt/x is in ld.so.conf and has it, but ldconfig was not run after",
        ),
        ({**moved("opt/x"), "etc/ld.so.conf": b"include ld.so.conf\n"}, "it is nowhere in the image"),
    ],
)
def test_near_misses_of_the_search(tmp_path: Path, change: Tree, why: str) -> None:
    assert f"/app/server needs libmini-base.so.0: {why}" in findings(tmp_path, "closure", change)


def test_an_rpath_serves_the_libraries_below_and_a_runpath_does_not(tmp_path: Path) -> None:
    """`libmini-base` lies beside the program only; a plug-in without any run path needs it."""
    bare = elf("libcudart.so.13").data
    plugin: Tree = {"opt/libplug.so": Node(data=bare)}
    assert findings(tmp_path, "closure", plugin) == []


def test_the_driver_is_injected_only_where_the_recipe_links_it(tmp_path: Path) -> None:
    assert findings(tmp_path, "closure", driver=Driver.NONE) == [
        "/app/libmini-cuda.so needs libcuda.so.1: it is nowhere in the image"
    ]


def test_driver_calls_without_the_driver_are_found(tmp_path: Path) -> None:
    assert findings(tmp_path, "closure", {"app/libmini-cuda.so": elf("cuda-vmm-unlinked.so")}) == [
        "/app/libmini-cuda.so calls cuGetErrorString, which nothing that it loads provides",
        "/app/libmini-cuda.so calls cuMemCreate, which nothing that it loads provides",
    ]


def test_a_plugin_that_no_program_links_is_a_root_of_its_own(tmp_path: Path) -> None:
    plugin = {"app/backends/libmini-plug.so": elf("cuda-novmm.so")}
    assert findings(tmp_path, "closure", plugin)[0] == (
        "/app/backends/libmini-plug.so needs libmini-base.so.0: it is nowhere in the image"
    )


def test_the_tree_of_a_script_is_empty(tmp_path: Path) -> None:
    result = results(tmp_path, {"app/server": Node(data=b"#!/bin/sh\n", mode=0o755)}, names=("closure",))[
        "closure"
    ]
    assert (result.outcome, result.detail["tree"]) == (Outcome.PASSED, {})


def test_a_plugin_may_call_back_into_programs_and_into_nothing_else(tmp_path: Path) -> None:
    assert findings(tmp_path, "closure", {"app/libmini-plug.so": elf("cuda-missing.so")}) == [
        "/app/libmini-plug.so calls mini_forgotten, which nothing that it loads provides"
    ]
