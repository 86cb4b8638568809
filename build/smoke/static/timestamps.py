"""No file of any layer is younger than the one constant epoch, and none can be changed by everybody."""

from typing import Final

from build.image.tree import Entry, Kind, printable
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "check"]

_SHOWN: Final = 3
_EVERYBODY: Final = 0o002
_STICKY: Final = 0o1000


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Look at the entries of every layer, those that a later one hides included."""
    layers: dict[int, list[Entry]] = {}
    for entry in image.rootfs.history():
        layers.setdefault(entry.layer, []).append(entry)
    findings = []
    theirs = 0 if expect.own_layers is None else len(image.config.diff_ids) - expect.own_layers
    for number, entries in layers.items():
        if number < theirs:
            continue
        young = [entry for entry in entries if not entry.mtime <= expect.epoch]
        if young:
            names = ", ".join(printable(entry.path) for entry in young[:_SHOWN])
            more = f" and {len(young) - _SHOWN} more" if len(young) > _SHOWN else ""
            findings.append(
                f"layer {number} has entries younger than the epoch {expect.epoch}: {names}{more}"
            )
    findings += [
        f"{printable(entry.path)} can be changed by everybody ({entry.mode:04o})"
        for entry in image.rootfs
        if _is_open(entry)
    ]
    findings += [
        f"{printable(entry.path)} is a device node"
        for entry in image.rootfs
        if entry.kind is Kind.DEVICE and not entry.path.startswith("dev/")
    ]
    newest = {str(number): max(entry.mtime for entry in entries) for number, entries in layers.items()}
    return Verdict(findings=tuple(findings), detail={"epoch": expect.epoch, "newest": newest})


CHECK: Final = StaticCheck(
    name="timestamps",
    protects="The same recipe gives other bytes tomorrow, and users download gigabytes that did not change.",
    run=check,
)


def _is_open(entry: Entry) -> bool:
    if entry.kind not in {Kind.FILE, Kind.FOLDER} or not entry.mode & _EVERYBODY:
        return False
    return entry.kind is Kind.FILE or not entry.mode & _STICKY
