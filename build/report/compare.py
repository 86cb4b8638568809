"""Two images side by side: what is gone, new and changed, what is equal, what cannot be said. Pure.

Each area is a function of its own; an area that one side does not know is reported as unknown with the reason.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from build.doors.between import Between
from build.image.model import Layer, megabytes
from build.report.commands import compare_flags
from build.report.difference import Area, Change, Difference, Kind
from build.report.facts import ImageFacts, Kernels, Missing, SourceFacts
from build.report.parts import Part, kind_of, pairs, share

__all__ = ["compare"]

T = TypeVar("T")
Pairs = tuple[tuple[str, str], ...]

_MOST_COMMITS: Final = 200
_SHORT: Final = 12
_VERSIONED: Final = re.compile(r"(\.so)(?:\.\d+)+$")


def compare(left: ImageFacts, right: ImageFacts, *, log: Between | Missing | None = None) -> Difference:
    """Compare two images; `log` is what lies between their upstream commits, where somebody could look."""
    parts = (
        _both(left.source, right.source, "upstream", lambda old, new: _upstream(old, new, log)),
        _both(left.patches, right.patches, "patches", _patches),
        _both(left.toolchain, right.toolchain, "toolchain", _toolchain),
        _both(left.pinned, right.pinned, "locks and packages", _packages),
        _both(left.flags, right.flags, "flags", compare_flags),
        _both(left.kernels, right.kernels, "kernels", _kernels),
        _both(left.layers, right.layers, "layers and size", _layers),
        _both(left.labels, right.labels, "labels", _labels),
    )
    order = list(Area)
    changes = [change for part in parts for change in part.changes]
    return Difference(
        left=left.name,
        right=right.name,
        changes=tuple(sorted(changes, key=lambda change: order.index(change.area))),
        same=tuple(word for part in parts for word in part.same),
        unknown=tuple(word for part in parts for word in part.unknown),
    )


def _both(left: T | Missing, right: T | Missing, what: str, comparing: Callable[[T, T], Part]) -> Part:
    """Compare an area that both sides know; else say which does not, and why."""
    missing = [side for side in (left, right) if isinstance(side, Missing)]
    if isinstance(left, Missing) or isinstance(right, Missing):
        sides = "both sides" if len(missing) > 1 else "left" if isinstance(left, Missing) else "right"
        reasons = dict.fromkeys(side.reason for side in missing)
        return Part(unknown=(f"{what}: not known of {sides}: {'; '.join(reasons)}",))
    return comparing(left, right)


def _upstream(left: SourceFacts, right: SourceFacts, log: Between | Missing | None) -> Part:
    known = left.submodules is not None and right.submodules is not None
    changes = pairs(
        Area.UPSTREAM,
        {"source": left.url, "version": left.version, "commit": left.commit}
        | {f"submodule {path}": commit for path, commit in (left.submodules or ()) if known},
        {"source": right.url, "version": right.version, "commit": right.commit}
        | {f"submodule {path}": commit for path, commit in (right.submodules or ()) if known},
    )
    if left.commit == right.commit:
        return Part(changes=changes, same=(f"upstream: commit {left.commit}",))
    if left.url != right.url:
        return Part(changes=changes, unknown=("upstream log: the sources are of different repositories",))
    if log is None or isinstance(log, Missing):
        reason = log.reason if log else "nobody asked the mirror"
        return Part(changes=changes, unknown=(f"upstream log: {reason}",))
    lines = [(Kind.NEW, line) for line in log.gained] + [(Kind.GONE, line) for line in log.lost]
    commits = tuple(
        Change(area=Area.UPSTREAM, name=line.commit, kind=kind,
               before=line.subject if kind is Kind.GONE else "", after=line.subject if kind is Kind.NEW else "")
        for kind, line in lines[:_MOST_COMMITS]
    )  # fmt: skip
    rest = len(lines) - len(commits)
    unknown = (f"upstream log: {rest} further commits are left out",) if rest else ()
    return Part(changes=(*changes, *commits), unknown=unknown)


def _patches(left: Pairs, right: Pairs) -> Part:
    changes = pairs(Area.PATCHES, dict(left), dict(right))
    shared = [file for file, _ in left if file in dict(right)]
    if shared != [file for file, _ in right if file in dict(left)]:
        before, after = (", ".join(file for file, _ in side) for side in (left, right))
        changes += (Change(area=Area.PATCHES, name="order", kind=Kind.CHANGED, before=before, after=after),)
    return Part(changes=changes, same=_equal("patches", left, right))


def _toolchain(left: Pairs, right: Pairs) -> Part:
    changes = pairs(Area.TOOLCHAIN, dict(left), dict(right))
    equal = ", ".join(f"{name} {value}" for name, value in left if dict(right).get(name) == value)
    return Part(changes=changes, same=(f"toolchain: {equal}",) if equal else ())


def _packages(left: Pairs, right: Pairs) -> Part:
    changes = pairs(Area.TOOLCHAIN, dict(left), dict(right))
    return Part(changes=changes, same=_equal("locks and packages", left, right))


def _kernels(left: tuple[Kernels, ...], right: tuple[Kernels, ...]) -> Part:
    before, after = _by_name(left), _by_name(right)
    changes = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old and new and old.identity == new.identity:
            continue
        changes.append(
            Change(area=Area.KERNELS, name=name, kind=kind_of(before=old is not None, after=new is not None),
                   before=_kernel(old), after=_kernel(new))
        )  # fmt: skip
    equal = len(set(before) & set(after)) - sum(change.kind is Kind.CHANGED for change in changes)
    total = len(set(before) | set(after))
    return Part(
        changes=tuple(changes),
        same=(share("kernels", equal, total, "library" if total == 1 else "libraries"),) if equal else (),
    )


def _by_name(kernels: tuple[Kernels, ...]) -> dict[str, Kernels]:
    """Name each library without its version, so that a release does not look like another library."""
    plain = {one.library: _VERSIONED.sub(r"\1", one.library) for one in kernels}
    count = Counter(plain.values())
    return {(plain[one.library] if count[plain[one.library]] == 1 else one.library): one for one in kernels}


def _kernel(one: Kernels | None) -> str:
    return f"{', '.join(one.targets)} {one.identity[:_SHORT]}".strip() if one else ""


def _layers(left: tuple[Layer, ...], right: tuple[Layer, ...]) -> Part:
    old, new = {layer.digest for layer in left}, {layer.digest for layer in right}
    gone = [layer for layer in left if layer.digest not in new]
    added = [layer for layer in right if layer.digest not in old]
    changes = []
    for layer in gone:
        # The same instruction with other bytes is one layer that changed.
        twin = next((one for one in added if one.what == layer.what), None)
        if twin:
            added.remove(twin)
        kind = Kind.CHANGED if twin else Kind.GONE
        after = f"{_layer(twin)}{_repacked(layer, twin)}" if twin else ""
        changes.append(
            Change(area=Area.LAYERS, name=layer.what, kind=kind, before=_layer(layer), after=after)
        )
    changes += [
        Change(area=Area.LAYERS, name=layer.what, kind=Kind.NEW, after=_layer(layer)) for layer in added
    ]
    sizes = [sum(layer.size for layer in side) for side in (left, right)]
    shared = [layer for layer in right if layer.digest in old]
    told = share("layers", len(shared), len(right), f"({megabytes(sum(one.size for one in shared))})")
    same = (told,) if shared else ()
    if sizes[0] == sizes[1]:
        return Part(changes=tuple(changes), same=(*same, f"size: {megabytes(sizes[0])}"))
    size = Change(
        area=Area.SIZE, name="compressed", kind=Kind.CHANGED, before=megabytes(sizes[0]),
        after=f"{megabytes(sizes[1])} ({megabytes(sizes[1] - sizes[0], signed=True)}, {sizes[1] - sizes[0]:+d} bytes)",
    )  # fmt: skip
    return Part(changes=(*changes, size), same=same)


def _layer(layer: Layer) -> str:
    return f"{layer.digest[: len('sha256:') + _SHORT]} {megabytes(layer.size)}"


def _repacked(old: Layer, new: Layer) -> str:
    return " (the same files, packed differently)" if old.diff_id == new.diff_id else ""


def _labels(left: Pairs, right: Pairs) -> Part:
    changes = pairs(Area.LABELS, dict(left), dict(right))
    return Part(changes=changes, same=_equal("labels", left, right))


def _equal(what: str, left: Pairs, right: Pairs) -> tuple[str, ...]:
    """Say how much of two maps is the same; nothing where nothing is."""
    if not left and not right:
        return (f"{what}: none on either side",)
    equal = sum(dict(right).get(name) == value for name, value in left)
    total = len(dict(left) | dict(right))
    return (share(what, equal, total),) if equal else ()
