"""What is kept of the image that was pushed last: its artifacts, not its bytes. The next build does not touch them."""

import os
from pathlib import Path
from typing import Final

from build.doors import store
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt

__all__ = ["DIFFERENCE", "PUBLISHED", "keep_published"]

PUBLISHED: Final = "published"
"""Folder beside the image's own artifacts."""

DIFFERENCE: Final = "difference.json"
"""How it differs from the image that was pushed before it."""

_COPIED: Final = ("image.json", "smoke.json", "help.json")


def keep_published(out: Path, plan: ImagePlan, receipt: PushReceipt, difference: object | None) -> None:
    """Put the artifacts of the image below `out` beside it, in place of those of the image that was pushed before.

    `difference` is the one to that image; nobody can compare with it any more afterwards.
    """
    for stale in out.glob(f".{PUBLISHED}.*.part"):
        store.discard(stale)
    part = out / f".{PUBLISHED}.{os.getpid()}.part"
    for name in _COPIED:
        if (out / name).is_file():
            store.write_text(part / name, (out / name).read_text(encoding="utf-8"))
    store.write_artifact(part / "plan.json", plan)
    # The plan's own: pin.json may have been proven anew since.
    store.write_artifact(part / "pin.json", plan.pin)
    store.write_artifact(part / "push.json", receipt)
    if difference is not None:
        store.write_artifact(part / DIFFERENCE, difference)
    store.replace_dir(part, out / PUBLISHED)
