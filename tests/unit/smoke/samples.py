"""A small image that passes every static check, and a way to run one check on it with one thing changed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from build.image.layout import open_layout
from build.image.rootfs import ELF_MAGIC
from build.recipe.model import Driver
from build.smoke.model import CheckResult, Expectations, Outcome
from build.smoke.static.suite import CHECKS, run_static
from tests.layouts import EPOCH, Node, Tree, elf, folder, symlink, write_layout

LABELS = {
    "org.opencontainers.image.source": "https://example.org/minifork",
    "org.opencontainers.image.revision": "1" * 40,
    "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
    "org.opencontainers.image.version": "b9261",
    "org.opencontainers.image.title": "minifork",
    "ingot.fingerprint": "f" * 64,
    "ingot.recipe": "minifork",
    "ingot.cuda": "13.0",
    "ingot.architectures": "120a-real",
}

CONFIG: Mapping[str, Any] = {
    "Env": ["PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"],
    "Labels": LABELS,
    "User": "10001:10001",
    "Entrypoint": ["/app/server"],
    "WorkingDir": "/app",
}

EXPECT = Expectations(
    recipe="minifork",
    cuda="13.0",
    architectures=("120a-real",),
    driver=Driver.LINKED,
    epoch=EPOCH,
    entrypoint=("/app/server",),
    workdir="/app",
    user="10001:10001",
    port=8080,
    version="9261",
    labels=tuple(sorted(LABELS.items())),
)

MULTIARCH = "usr/lib/x86_64-linux-gnu"

BASE: Tree = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nserver:x:10001:10001::/app:/usr/sbin/nologin\n",
    "etc/shadow": b"root:*:19000:0:99999:7:::\nserver:!:19000::::::\n",
    "etc/ld.so.conf": b"# from Debian\ninclude /etc/ld.so.conf.d/*.conf\n",
    "etc/ld.so.conf.d/x86_64-linux-gnu.conf": f"/{MULTIARCH}\n".encode(),
    "etc/hostname": b"",
    "etc/resolv.conf": b"",
    "etc/hosts": b"127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n",
    "etc/apt/apt.conf.d/01autoremove": b'APT::NeverAutoRemove { "^linux"; };\n',
    "root/.bashrc": b"umask 022\n",
    "lib64": symlink("usr/lib64"),
    "usr/lib64/ld-linux-x86-64.so.2": elf("ld-linux-x86-64.so.2"),
    f"{MULTIARCH}/libc.so.6": elf("libc.so.6"),
    "usr/bin/su": Node(data=b"#!/bin/sh\n", mode=0o4755),
    "tmp/": folder(0o1777),
    "run/lock/": folder(0o1777),
    "var/log/": folder(),
    "var/lib/apt/lists/": folder(),
}

CUDA: Tree = {"app/libcudart.so.13": elf("libcudart.so.13")}

APP: Tree = {
    "app/": folder(),
    "app/server": elf("server"),
    "app/libmini-base.so.0.1": elf("libmini-base.so.0", mode=0o644),
    "app/libmini-base.so.0": symlink("libmini-base.so.0.1"),
    "app/libmini-cuda.so": elf("cuda-sm120a.so", mode=0o644),
}


_NEED_ELF = {"closure", "driver_boundary", "link_facts", "gpu_code"}

CHECKS_BY_NAME = {check.name: check for check in CHECKS}


def results(
    tmp_path: Path,
    *layers: Tree,
    config: Mapping[str, Any] | None = None,
    host_words: tuple[str, ...] = (),
    names: tuple[str, ...] = tuple(CHECKS_BY_NAME),
    **promises: Any,
) -> dict[str, CheckResult]:
    """Run checks on the good image with further layers on top and other promises made."""
    stack = (
        [BASE, CUDA, APP, *layers] if _NEED_ELF.intersection(names) else [*map(_plain, (BASE, APP)), *layers]
    )
    path = write_layout(tmp_path / "image", stack, config={**CONFIG, **(config or {})})
    expect = replace(EXPECT, **promises)
    checks = tuple(CHECKS_BY_NAME[name] for name in names)
    found = run_static(open_layout(path), expect, host_words=host_words, checks=checks, scratch=tmp_path)
    return {check.name: check for check in found}


def sample(path: Path) -> Path:
    """Write the good image."""
    return write_layout(path, [BASE, CUDA, APP], config=CONFIG)


def _plain(tree: Tree) -> Tree:
    """The same without the binaries, which take the most time to read."""
    return {
        name: replace(node, data=b"#!/bin/sh\n")
        if isinstance(node, Node) and node.data[:4] == ELF_MAGIC
        else node
        for name, node in tree.items()
    }


def findings(tmp_path: Path, name: str, *layers: Tree, **others: Any) -> list[str]:
    """Return what one check finds."""
    result = results(tmp_path, *layers, names=(name,), **others)[name]
    assert result.outcome is (Outcome.FAILED if result.reason else Outcome.PASSED)
    return result.reason.splitlines()
