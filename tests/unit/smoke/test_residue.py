from pathlib import Path
from typing import Any

import pytest

from build.recipe.model import Family
from tests.layouts import Node, Tree, elf, symlink
from tests.unit.smoke.samples import findings


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"etc/hostname": b"buildbox\n"}, ["/etc/hostname holds the build host's own"]),
        ({"etc/resolv.conf": b"nameserver 10.0.0.1\n"}, ["/etc/resolv.conf holds the build host's own"]),
        ({"etc/machine-id": b"0123\n"}, ["/etc/machine-id holds the build host's own"]),
        ({"etc/machine-id": b"uninitialized\n"}, []),
        ({"etc/hosts": b"127.0.1.1 buildbox\n"}, ["/etc/hosts names buildbox"]),
        ({"var/lib/apt/lists/x_Packages": b"x"}, ["/var/lib/apt/lists/x_Packages is a package list"]),
        ({"var/cache/apt/pkgcache.bin": b"x"}, ["/var/cache/apt/pkgcache.bin is the package manager's cache"]),
        ({"var/cache/apt/archives/a.deb": b"x"}, ["/var/cache/apt/archives/a.deb is the package manager's cache"]),
        (
            {"var/cache/ldconfig/aux-cache": b"x"},
            ["/var/cache/ldconfig/aux-cache is a cache that differs from build to build"],
        ),
        ({"var/log/dpkg.log": b"x", "var/log/btmp": b""}, ["/var/log/dpkg.log is a log"]),
        (
            {"root/.cache/pip": b"x"},
            ["/root/.cache is a home folder's own state", "/root/.cache/pip is a home folder's own state"],
        ),
        ({"build": symlink("x")}, ["/build is a folder of the build"]),
        ({"src/a.c": b""}, ["/src is a folder of the build", "/src/a.c is a folder of the build"]),
        ({"app/.git": b"gitdir: x"}, ["/app/.git is a git repository"]),
        ({"app/.ccache": b""}, ["/app/.ccache is a compiler cache"]),
        ({"usr/bin/x86_64-linux-gnu-gcc-12": b""}, ["/usr/bin/x86_64-linux-gnu-gcc-12 is a compiler"]),
        ({"usr/bin/ld": b""}, ["/usr/bin/ld is a compiler"]),
        ({"usr/local/cuda/bin/nvcc": b""}, ["/usr/local/cuda/bin/nvcc is a compiler"]),
        ({"app/bin/ptxas": b""}, ["/app/bin/ptxas is a compiler"]),
        ({"usr/bin/run-as": b"", "app/as": b"", "usr/share/ld": b""}, []),
        ({"tmp/x": b""}, ["/tmp/x is a temporary file"]),
        ({"var/tmp/x": b""}, ["/var/tmp/x is a temporary file"]),
        ({"run/dbus.pid": b"1"}, ["/run/dbus.pid is left over from a running system"]),
        (
            {"usr/local/share/ca-certificates/corp.crt": b"x"},
            ["/usr/local/share/ca-certificates/corp.crt is a certificate authority of the host"],
        ),
        ({"etc/apt/sources.list": b"deb http://mirror x main\n"},
         ["/etc/apt/sources.list names the package source of the build"]),
        ({"etc/apt/sources.list": b"# removed\n\n"}, []),
        ({"etc/apt/sources.list.d/debian.sources": b"Types: deb\n"},
         ["/etc/apt/sources.list.d/debian.sources names the package source of the build"]),
        ({"etc/apt/apt.conf.d/99proxy": b'Acquire::http::Proxy "http://p:3128";\n'},
         ["/etc/apt/apt.conf.d/99proxy sets a proxy or its certificates"]),
        ({"app/libmini.a": b""}, ["/app/libmini.a is of use to a compiler only"]),
        ({"app/include/mini.h": b""}, ["/app/include/mini.h is of use to a compiler only"]),
        ({"app/lib/cmake/mini.cmake": b""}, ["/app/lib/cmake/mini.cmake is of use to a compiler only"]),
    ],
)  # fmt: skip
def test_leftovers(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "residue", change) == expected


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "SSL_CERT_FILE"])
def test_the_environment(tmp_path: Path, name: str) -> None:
    config: dict[str, Any] = {"Env": [f"{name}=x"]}
    assert findings(tmp_path, "residue", config=config) == [f"the environment sets {name}"]


def test_a_python_image_may_carry_what_it_compiles_with(tmp_path: Path) -> None:
    change = {"app/venv/bin/ptxas": b"", "app/venv/include/x.h": b""}
    assert findings(tmp_path, "residue", change, family=Family.PYTHON) == []


def test_long_lists_are_cut(tmp_path: Path) -> None:
    found = findings(tmp_path, "residue", {f"tmp/{number}": b"" for number in range(30)})
    assert (len(found), found[-1]) == (21, "and 10 more")


WORDS = ("buildbox", "/home/anna", "root", "abc")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"etc/environment": b"X=/home/anna/x\n"}, ["/etc/environment names the build host: '/home/anna'"]),
        ({"etc/environment": b"X=(buildbox)\n"}, ["/etc/environment names the build host: 'buildbox'"]),
        ({"etc/environment": b"X=buildboxes rebuildbox abc\n"}, []),
        (
            {"app/libx.so": Node(data=elf("libcudart.so.13").data + b"\0/home/anna/fork\0")},
            ["/app/libx.so names the build host: '/home/anna'"],
        ),
        # Not the recipe's doing: Debian's own binaries.
        ({"usr/lib/libx.so": Node(data=elf("libcudart.so.13").data + b"\0/home/anna/fork\0")}, []),
    ],
)
def test_words_of_the_host(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "residue", change, host_words=WORDS) == expected


def test_what_a_later_layer_deletes_is_still_sent(tmp_path: Path) -> None:
    layers: list[Tree] = [{"etc/environment": b"H=buildbox\n"}, {"etc/.wh.environment": b""}]
    assert findings(tmp_path, "residue", *layers, host_words=WORDS) == [
        "/etc/environment names the build host: 'buildbox'"
    ]
