"""A real environment with the sample package in it, and a run of the patch ledger's program over it."""

import json
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PACKAGE", "SAMPLES", "SCRIPTS", "Installed", "Ledger", "mini_set", "patch"]

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "dockerfiles" / "scripts"
SAMPLES = ROOT / "samples"
PACKAGE = {
    "__init__.py": "",
    "core/__init__.py": "",
    "core/cache.py": "class Group:\n    scales = True\n\n\nclass Cache:\n    groups: tuple[Group, ...] = ()\n",
    "core/scheduler.py": (
        "from .cache import Cache\n\n\nclass Scheduler:\n    waiting: list[int] = []\n\n"
        "    def share(self, cache: Cache) -> int:\n        return len(cache.groups)\n\n"
        "    def next(self) -> int | None:\n        return self.waiting[0] if self.waiting else None\n"
    ),
    "parsers.py": 'def value(word: str) -> str | None:\n    if word == "null":\n        return None\n    return word\n',
    "limits.py": "WORKERS = 1\n\n\ndef size(batch: int) -> int:\n    return max(1, batch)\n",
    "platforms.py": (
        "from importlib.metadata import entry_points\n\n\ndef current() -> str:\n"
        '    found = [point.load()() for point in entry_points(group="miniserve.platforms")]\n'
        '    return found[0] if found else "cpu"\n'
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a run left."""

    status: int
    words: str
    document: dict[str, Any]

    def patch(self, name: str) -> dict[str, Any]:
        return next(one for one in self.document["patches"] if one["id"] == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment below `root`."""

    root: Path

    @property
    def site(self) -> Path:
        return (
            self.root / "venv/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        )

    @property
    def context(self) -> Path:
        return self.root / "context"

    @classmethod
    def make(cls, root: Path, files: Mapping[str, str] = PACKAGE) -> "Installed":
        venv.create(root / "venv", symlinks=True, with_pip=False)
        made = cls(root=root)
        for name, text in files.items():
            path = made.site / "miniserve" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in ("edits", "ours", "sets"):
            (made.context / name).mkdir(parents=True)
        return made

    def run(
        self, *, diffs: Sequence[Mapping[str, Any]] = (), sets: Sequence[Mapping[str, Any]] = ()
    ) -> Ledger:
        """Run the program as the build does."""
        orders, ledger = self.root / "orders.json", self.root / "ledger.json"
        orders.write_text(json.dumps({"site": str(self.site), "diffs": list(diffs), "sets": list(sets)}))
        done = self.python(
            "-m", "patching", str(orders), "--context", str(self.context), "--ledger", str(ledger)
        )
        document = json.loads(ledger.read_text()) if ledger.exists() else {}
        return Ledger(status=done.returncode, words=done.stderr, document=document)

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (str(self.root / "venv/bin/python"), *arguments),
            cwd=self.root,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )


def patch(name: str, **values: Any) -> dict[str, Any]:
    """One patch's order."""
    plain: dict[str, Any] = {
        "id": name,
        "why": "because",
        "files": [],
        "markers": [],
        "optional": [],
        "build": "applied",
    }
    return {**plain, "start": "text", "foundational": False, **values}


def mini_set(*patches: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The sample's patch set as an order."""
    return {
        "name": "mini",
        "repo": "https://samples.ingot.invalid/minipatches.git",
        "commit": "0" * 40,
        "version": "v1",
        "place": [["mini_patches", "miniserve/_patches"]],
        "run": ["python", "-m", "miniserve._patches.apply_all"],
        "registry": "miniserve._patches.apply_all:PATCH_REGISTRY",
        "patcher": "miniserve._patches.text:Patcher",
        "plugin": "plugin",
        "helper": "",
        "env": [],
        "requires": [],
        "patches": list(patches),
        "exclude": [],
        **values,
    }
