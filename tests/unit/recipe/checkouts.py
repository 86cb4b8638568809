"""Small checkouts to judge recipes in: locks, a patch, and the recipes a test puts there."""

import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["DATA", "Checkout", "lay_out"]

DATA = Path(__file__).parents[2] / "data" / "recipes"
LOCKS = {"12.6": "12.6.85", "13.0": "13.0.88", "13.2": "13.2.78"}

Checkout = Callable[..., Path]
"""`checkout("good/minifork", other="name: ...")` lays out a checkout and returns its root."""


def lay_out(root: Path, *names: str, **texts: str) -> Path:
    """Put recipes of the test data, and others given as text, into a checkout that has what they need."""
    recipes = root / "recipes"
    (recipes / "toolchains").mkdir(parents=True, exist_ok=True)
    (recipes / "packages").mkdir(exist_ok=True)
    for version, nvcc in LOCKS.items():
        lock = recipes / "toolchains" / f"cuda-{version}.txt"
        lock.write_text(f"nvidia-cuda-nvcc=={nvcc} \\\n    --hash=sha256:00\n")
    (recipes / "packages" / "wheels.txt").write_text("wheels==0.11.0 \\\nnvidia-cuda-runtime==13.0.96 \\\n")
    if "good/minifork" in names:
        patch = root / "patches" / "minifork" / "0001-name.patch"
        patch.parent.mkdir(parents=True)
        patch.write_text("")
    for name in names:
        shutil.copy(DATA / f"{name}.yaml", recipes)
    for stem, text in texts.items():
        (recipes / f"{stem}.yaml").write_text(text)
    return root
