"""A small image of Python packages that passes every static check, to be changed in one thing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from build.image.layout import open_layout
from build.recipe.model import Family
from build.smoke.model import CheckResult
from build.smoke.static.suite import checks_of, run_static
from tests.layouts import Node, Tree, elf, folder, write_layout
from tests.unit.smoke.samples import BASE, CONFIG, EXPECT

__all__ = ["SCRIPT", "SITE", "blob", "findings", "ledger", "package", "results"]

SITE = "opt/venv/lib/python3.11/site-packages"
CHECKS = tuple(check.name for check in checks_of(Family.PYTHON))
TORCH = ("torch/lib/libtorch_cuda.so", "torch/lib/libmini-base.so.0", "torch/lib/libcudart.so.13")


def package(
    name: str,
    *files: str,
    requires: tuple[str, ...] = (),
    entry_points: str = "",
    version: str = "1.0",
    site: str = SITE,
) -> Tree:
    """Write a package's metadata; `files` are paths below site-packages that it owns."""
    info = f"{site}/{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    record = "".join(f"{path},sha256=x,1\n" for path in files)
    tree = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n{needs}\nRequires-Dist: a description\n".encode(),
        f"{info}/RECORD": record.encode(),
    }
    return {**tree, f"{info}/entry_points.txt": entry_points.encode()} if entry_points else tree


def ledger(*patches: Mapping[str, Any], form: int = 1) -> Tree:
    whole = [
        {
            "id": "P1",
            "set": "",
            "outcome": "applied",
            "expected": "applied",
            "as_expected": True,
            "reason": "",
            "files": [],
            **one,
        }
        for one in patches
    ]
    text = json.dumps({"format": form, "site": f"/{SITE}", "sets": [], "patches": whole})
    return {"opt/ingot/ledger.json": text.encode()}


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


SCRIPT = "[console_scripts]\nserver = serve.cli:main\n\n[vllm.general_plugins]\nlora = serve.lora:register\n"

GOOD: Tree = {
    "opt/venv/bin/": folder(),
    "opt/venv/bin/server": Node(data=b"#!/opt/venv/bin/python3\n", mode=0o755),
    # An extension that finds nothing by itself, and the package that is imported before it.
    f"{SITE}/serve/_C.so": elf("cuda-sm120a.so"),
    f"{SITE}/torch/lib/libtorch_cuda.so": elf("cuda-sm120.so"),
    f"{SITE}/torch/lib/libmini-base.so.0": elf("libmini-base.so.0"),
    f"{SITE}/torch/lib/libcudart.so.13": elf("libcudart.so.13"),
    **package("serve", "serve/_C.so", requires=("Torch>=2",), entry_points=SCRIPT),
    **package("torch", *TORCH, requires=("setuptools<82",)),
    **package("setuptools"),
}
PROMISES: Mapping[str, Any] = {
    "family": Family.PYTHON,
    "app": "/opt/venv",
    "entrypoint": ("/opt/venv/bin/server", "serve"),
    "architectures": ("120-real",),
}


def results(
    tmp_path: Path, *layers: Tree, names: tuple[str, ...] = CHECKS, **promises: Any
) -> dict[str, CheckResult]:
    """Run checks on the good image with further layers on top and other promises made."""
    path = write_layout(
        tmp_path / "image",
        [BASE, GOOD, *layers],
        config={**CONFIG, "Entrypoint": list(PROMISES["entrypoint"])},
    )
    found = run_static(
        open_layout(path),
        replace(EXPECT, **{**PROMISES, **promises}),
        checks=tuple(check for check in checks_of(Family.PYTHON) if check.name in names),
        scratch=tmp_path,
    )
    return {check.name: check for check in found}


def findings(tmp_path: Path, name: str, *layers: Tree, **promises: Any) -> list[str]:
    """Return what one check finds."""
    return results(tmp_path, *layers, names=(name,), **promises)[name].reason.splitlines()
