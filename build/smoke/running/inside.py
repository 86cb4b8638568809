"""Asks a Python image about itself: a program of ours, mounted at test time, run by the image's own interpreter.

What comes back was written beside the code of the image: it is cut out between two marks, bounded, and checked for shape.
"""

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from build.errors import WorkFailed
from build.smoke import inside
from build.smoke.running.image import RunningImage
from build.smoke.running.words import fate, tail

__all__ = ["ask", "lay_out"]

_PACKAGE: Final = "ingot_inside"
_PLUGIN: Final = "ingot_platform"
_PLATFORM: Final = "vllm.platforms.cpu.CpuPlatform"


def lay_out(folder: Path) -> None:
    """Write what is mounted: our program, and a plugin that lets vLLM take a machine without a GPU for a CPU one.

    Without it vLLM cannot even print its version there: its parser builds a configuration that wants a device.
    """
    shutil.copytree(
        Path(inside.__file__).parent, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / f"{_PLUGIN}.py").write_text(f"def register():\n    return {_PLATFORM!r}\n", encoding="utf-8")
    metadata = folder / f"{_PLUGIN}-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {_PLUGIN}\nVersion: 0\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        f"[vllm.platform_plugins]\n{_PLUGIN} = {_PLUGIN}:register\n", encoding="utf-8"
    )
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def ask(
    image: RunningImage, task: str, *, timeout_s: float | None = None, **question: object
) -> Mapping[str, Any]:
    """Ask one question.

    Raises:
        WorkFailed: the image gives no answer.
    """
    mark = f"ingot-{secrets.token_hex(8)}"
    words = ("-m", _PACKAGE, mark, json.dumps({"task": task, **question}))
    result = image.run(*words, timeout_s=timeout_s, entrypoint=("python3",))
    parts = result.stdout.split(f"\n{mark}\n")
    if result.exit_code != 0 or len(parts) != 3:  # noqa: PLR2004  (before, answer, after)
        said = tail(result.stderr or result.stdout)
        message = f"the image's Python {fate(result)} and did not answer: {said}"
        raise WorkFailed(message)
    try:
        answer = json.loads(parts[1])
    except (ValueError, RecursionError) as error:
        message = f"the image's Python answered no JSON: {tail(parts[1], 3)}"
        raise WorkFailed(message) from error
    if not isinstance(answer, dict):
        message = f"the image's Python answered no object: {tail(parts[1], 3)}"
        raise WorkFailed(message)
    return answer
