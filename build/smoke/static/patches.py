"""The patch ledger in the image: every patch ended as the recipe expects, and the files are what it says they became."""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from typing import Any, Final

from build.image.tree import Entry, printable
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "LEDGER", "check"]

LEDGER: Final = "/opt/ingot/ledger.json"
_FORMAT: Final = 1


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Hold the ledger against the recipe, and the image against the ledger."""
    entry = image.rootfs.resolve(LEDGER)
    if entry is None or entry.content is None:
        missing = f"{LEDGER} is not in the image, the recipe has {len(expect.patches)} patches"
        return Verdict(findings=(missing,) if expect.patches else ())
    try:
        ledger = json.loads(entry.read_text())
        if ledger["format"] != _FORMAT:
            return Verdict(findings=(f"{LEDGER} is of format {ledger['format']}, this reads {_FORMAT}",))
        told = {_name(one) for one in ledger["patches"]}
        findings = (
            *(f"the patch {name} is not in the ledger" for name in expect.patches if name not in told),
            *_unexpected(ledger["patches"]),
            *_changed(image, ledger),
        )
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        return Verdict(findings=(f"{LEDGER} cannot be read: {type(error).__name__}: {error}",))
    return Verdict(findings=findings, detail={"ledger": ledger})


CHECK: Final = StaticCheck(
    name="patches",
    protects="A patch changed nothing, or only half of what it should, and the image says it has it.",
    run=check,
)


def _name(patch: dict[str, Any]) -> str:
    """A diff goes by its file, a patch of a set by the set's name and its own."""
    return f"{patch['set']} {patch['id']}".strip()


def _unexpected(patches: list[dict[str, Any]]) -> Iterator[str]:
    for one in patches:
        if one["as_expected"] is not True:
            reason = f": {one['reason']}" if one["reason"] else ""
            yield f"the patch {_name(one)} ended as '{one['outcome']}', expected is '{one['expected']}'{reason}"


def _changed(image: StaticImage, ledger: dict[str, Any]) -> Iterator[str]:
    """Compare files by git's name of their bytes. A later patch may change a file again: the last one's word counts."""
    last = {str(change["path"]): (change, one) for one in ledger["patches"] for change in one["files"]}
    for name, (change, one) in last.items():
        path = posixpath.join(ledger["site"], name)  # what lies elsewhere is named whole
        entry = image.rootfs.resolve(path)
        found = _blob(entry)
        if found != change["after"]:
            where = printable(path.lstrip("/"))
            yield (
                f"{where} is not what the patch {_name(one)} made of it: "
                f"it is {found[:12] or 'not there'}, the ledger says {str(change['after'])[:12] or 'not there'}"
            )


def _blob(entry: Entry | None) -> str:
    if entry is None:
        return ""
    if entry.content is None:
        return "not read"
    data = entry.content.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()
