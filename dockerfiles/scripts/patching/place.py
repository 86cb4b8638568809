"""Puts a patch set where it expects to be: its folders, its plugin, our files in place of what is excluded."""

import base64
import hashlib
import importlib.metadata
import re
import shutil
import tomllib
from pathlib import Path

from .orders import SetOrder
from .refused import Refused

__all__ = ["place_set"]


def place_set(order: SetOrder, folder: Path, ours: Path, site: Path) -> None:
    """Copy what the recipe names out of `folder`; `ours` holds the recipe's own files.

    Raises:
        Refused: something is not where the recipe says, lies there already, or leads elsewhere; a package is missing.
    """
    if missing := [name for name in order.requires if not _installed(name)]:
        message = f"{order.name}: the set needs {', '.join(missing)}, which the image does not have"
        raise Refused(message)
    for source, target in order.place:
        _copy(folder / source, site / target, f"{order.name}: place {source}")
    if order.plugin:
        _plugin(order, folder / order.plugin, site)
    for excluded in order.exclude:
        if not (site / excluded.file).is_file():
            message = (
                f"{order.name}: {excluded.id} is to be excluded, but the set has no {excluded.file} any more"
            )
            raise Refused(message)
        shutil.copyfile(ours / excluded.by, site / excluded.file)


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _copy(source: Path, target: Path, what: str) -> None:
    if not source.exists():
        message = f"{what}: the patch set has no such file or folder"
        raise Refused(message)
    if target.exists():
        message = f"{what}: {target} is there already; a patch set may add files, not replace them unseen"
        raise Refused(message)
    inside = [source, *source.rglob("*")] if source.is_dir() else [source]
    if link := next((path for path in inside if path.is_symlink()), None):
        message = (
            f"{what}: {link.relative_to(source.parent)} is a symbolic link, which may lead out of the set"
        )
        raise Refused(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def _plugin(order: SetOrder, folder: Path, site: Path) -> None:
    """Install a pure Python plugin as pip would, without running its build: packages, entry points, a RECORD."""
    what = f"{order.name}: plugin {order.plugin}"
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, version = str(project["name"]), str(project["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        message = f"{what}: its pyproject.toml does not say name and version: {error}"
        raise Refused(message) from error
    packages = sorted(path.parent for path in folder.glob("*/__init__.py"))
    points = project.get("entry-points", {})
    if not packages or not points:
        message = f"{what}: it has no package or no entry point, so nothing would ever load it"
        raise Refused(message)
    for package in packages:
        _copy(package, site / package.name, what)
    stem = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}.dist-info"
    if "/" in stem:
        message = f"{what}: {stem} is no name of a folder"
        raise Refused(message)
    info = site / stem
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "INSTALLER").write_text("ingot\n")
    (info / "entry_points.txt").write_text(_entry_points(points))
    _record(info, packages, site)


def _entry_points(points: dict[str, dict[str, str]]) -> str:
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in sorted(entries.items()))
        for group, entries in sorted(points.items())
    )
    return "\n".join(groups)


def _record(info: Path, packages: list[Path], site: Path) -> None:
    """Write what was installed, https://packaging.python.org/en/latest/specifications/recording-installed-packages/."""
    files = [path for package in packages for path in (site / package.name).rglob("*") if path.is_file()]
    lines = []
    for path in sorted([*files, *info.iterdir()]):
        data = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(site).as_posix()},sha256={digest},{len(data)}\n")
    lines.append(f"{info.name}/RECORD,,\n")
    (info / "RECORD").write_text("".join(lines))
