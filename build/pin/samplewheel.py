"""The sample package as a wheel: samples/<name>/ zipped with fixed names, dates and order, so that its hash is a pin.

Nothing is compressed: the bytes would depend on zlib's version.
"""

import base64
import hashlib
import io
import tomllib
import zipfile
from pathlib import Path

from build.doors import store

__all__ = ["ensure_sample_wheel"]

_DATE = (2026, 1, 1, 0, 0, 0)
_MODE = 0o100644


def ensure_sample_wheel(package: str, samples: Path, cache: Path) -> Path | None:
    """Return the wheel of a sample package, made from samples/<package>/ as it is on disk now; None where it is no sample.

    It lies in a folder of its own, which pip takes for an index.
    """
    project = samples / package / "pyproject.toml"
    if not project.is_file():
        return None
    data = wheel_bytes(samples / package)
    version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    path = cache / "samples" / "wheels" / f"{package}-{version}-py3-none-any.whl"
    if not path.is_file() or path.read_bytes() != data:
        store.write_bytes(path, data)
    return path


def wheel_bytes(folder: Path) -> bytes:
    """Return the wheel of a sample's folder: its package, its metadata, its programs.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = f"{name}-{version}.dist-info"
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / name).rglob("*.py"))
    }
    programs = "".join(f"{program} = {target}\n" for program, target in sorted(project["scripts"].items()))
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: ingot\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{programs}".encode(),
    }
    record = "".join(f"{path},{_record(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, data)
    return sink.getvalue()


def _record(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
