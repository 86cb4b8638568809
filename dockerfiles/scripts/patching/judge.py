"""What became of each patch, judged by the files and held against the recipe and against what the set says. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .observe import Attempt, Observed
from .orders import DiffOrder, FileChange, PatchOrder, SetOrder
from .run import Ran

__all__ = ["Entry", "SetEntry", "faults", "judge_diffs", "judge_set"]

_KEPT = frozenset({"applied", "already upstream"})
"""Outcomes under which the image has the patch's effect."""
_COUNT = re.compile(r"(\d+) applied[,/ ]+(\d+) skipped[,/ ]+(\d+) failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One patch, as the ledger has it."""

    id: str
    set: str
    outcome: str
    """applied, already upstream, skipped, no-op, half, failed, excluded."""
    expected: str
    as_expected: bool
    foundational: bool
    start: str
    """What is in force once a server starts: text, rebind, none."""
    why: str
    said: str
    """The patch's own word."""
    reason: str
    means: str
    """How the files were found that this patch changed."""
    files: tuple[FileChange, ...]
    untouched: tuple[str, ...]
    """Files that it should have changed, or tried to, and did not."""
    attempts: tuple[Attempt, ...]
    remarks: tuple[str, ...]
    """Where what was said and what happened are two things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEntry:
    """One patch set, as the ledger has it."""

    name: str
    repo: str
    commit: str
    version: str
    status: int
    said: str
    """Its own summary."""
    applied: int
    """How many of its patches changed every file that they were to change."""
    unattributed: tuple[FileChange, ...]
    remarks: tuple[str, ...]


def judge_diffs(diffs: tuple[DiffOrder, ...]) -> tuple[Entry, ...]:
    """A diff that was applied exactly needs no judgement; it is written down in the same form."""
    return tuple(
        Entry(
            id=diff.id,
            set="",
            outcome="applied",
            expected="applied",
            as_expected=True,
            foundational=diff.foundational,
            start="text",
            why=diff.why,
            said=diff.verdict,
            reason="",
            means=f"exact diff {diff.sha256}, proven on the wheel's files",
            files=diff.changes,
            untouched=(),
            attempts=(),
            remarks=(),
        )
        for diff in diffs
    )


def judge_set(order: SetOrder, ran: Ran, texts: Mapping[str, str]) -> tuple[SetEntry, tuple[Entry, ...]]:
    """Judge every patch of a set. `texts` are the changed files as they are now."""
    by_id = _by_id(order, ran.observed) if order.registry else _by_marker(order, ran, texts)
    known = {patch.id: patch for patch in order.patches}
    entries = [
        _entry(order, known.get(name) or PatchOrder(id=name, why="", build="", start=""), seen)
        for name, seen in by_id.items()
    ]
    absent = Observed(title="", said="absent", reason="the set has no such patch")
    named = (*order.patches, *(PatchOrder(id=one.id, why=one.why) for one in order.exclude))
    gone = [_entry(order, patch, absent) for patch in named if patch.id not in by_id]
    kept = tuple(_excluded(order, entry) for entry in (*entries, *gone))
    return _set_entry(order, ran, kept), kept


def _by_id(order: SetOrder, observed: tuple[Observed, ...]) -> dict[str, Observed]:
    """A title begins with the patch's id: `P8 KV hybrid reporting`."""
    ids = [*(patch.id for patch in order.patches), *(one.id for one in order.exclude)]
    found = {}
    for one in observed:
        if one.title:
            words = one.title.split()
            found[next((name for name in ids if name.split() == words[: len(name.split())]), words[0])] = one
    return found


def _by_marker(order: SetOrder, ran: Ran, texts: Mapping[str, str]) -> dict[str, Observed]:
    """Where a set only runs as a whole, a file is a patch's if the recipe says so and the patch's marker is in it."""
    found = {}
    for patch in order.patches:
        changes = tuple(
            change
            for change in ran.changes
            if change.path in patch.files
            and all(marker in texts.get(change.path, "") for marker in patch.markers)
        )
        found[patch.id] = Observed(title=patch.id, said="", reason="", changes=changes)
    return found


def _entry(order: SetOrder, patch: PatchOrder, seen: Observed) -> Entry:
    touched = {change.path for change in seen.changes}
    wanted = dict.fromkeys((*patch.files, *(attempt.path for attempt in seen.attempts)))
    untouched = tuple(path for path in wanted if path not in touched)
    partly = tuple(_partly(patch, seen, touched))
    outcome, reason = _outcome(seen, half=bool(touched and (untouched or partly)))
    remarks = (*_remarks(patch, seen, outcome, touched), *partly)
    return Entry(
        id=patch.id,
        set=order.name,
        outcome=outcome,
        expected=patch.build,
        as_expected=_as_expected(patch, outcome),
        foundational=patch.foundational,
        start=patch.start,
        why=patch.why,
        said=seen.said,
        reason=reason,
        means="run one at a time" if order.registry else "run as a whole, told apart by files and markers",
        files=seen.changes,
        untouched=untouched,
        attempts=seen.attempts,
        remarks=remarks,
    )


def _outcome(seen: Observed, *, half: bool) -> tuple[str, str]:
    """Return what happened, by the files, and why."""
    if seen.changes:
        return ("half", seen.reason) if half or seen.said == "failed" else ("applied", seen.reason)
    upstream = next((attempt for attempt in seen.attempts if attempt.upstream), None)
    if seen.said == "skipped" and upstream:
        return "already upstream", f"{upstream.path} has {upstream.upstream!r}"
    if seen.said in {"skipped", "failed", "absent"}:
        return seen.said, seen.reason
    return "no-op", seen.reason


def _partly(patch: PatchOrder, seen: Observed, touched: set[str]) -> Iterator[str]:
    """Find files that were written although a text that was looked for is not there once."""
    for attempt in seen.attempts:
        needed = (anchor for anchor in attempt.anchors if anchor.name not in patch.optional)
        if attempt.path in touched and any(anchor.count != 1 for anchor in needed):
            yield f"{attempt.path}: {_anchors(attempt)}"


def _anchors(attempt: Attempt) -> str:
    found = ", ".join(f"{anchor.name} {anchor.count}x" for anchor in attempt.anchors)
    return f"anchors found: {found}"


def _remarks(patch: PatchOrder, seen: Observed, outcome: str, touched: set[str]) -> Iterator[str]:
    if not patch.build:
        yield "the recipe does not know this patch"
    if seen.said == "applied" and outcome == "half":
        yield "it says applied, and only a part of it is"
    if seen.said == "applied" and outcome == "no-op" and patch.start != "rebind":
        yield "it says applied, and no file was changed"
    if seen.said == "skipped" and touched:
        yield f"it says skipped, and changed {', '.join(sorted(touched))}"
    if patch.files and (more := sorted(touched.difference(patch.files))):
        yield f"it also changed {', '.join(more)}, which the recipe does not say"


def _as_expected(patch: PatchOrder, outcome: str) -> bool:
    if patch.build == "unknown":
        return outcome not in {"half", "absent"} and not (outcome == "no-op" and patch.start == "text")
    return outcome == patch.build


def _excluded(order: SetOrder, entry: Entry) -> Entry:
    excluded = next((one for one in order.exclude if one.id == entry.id), None)
    if excluded is None:
        return entry
    kept_out = not entry.files and entry.said != "applied"
    return replace(
        entry,
        outcome="excluded" if kept_out else entry.outcome,
        expected="excluded",
        as_expected=kept_out,
        start="none",
        why=excluded.why,
        remarks=() if kept_out else ("the recipe excludes it, and it ran all the same",),
    )


def _set_entry(order: SetOrder, ran: Ran, entries: tuple[Entry, ...]) -> SetEntry:
    known = {change.path for entry in entries for change in entry.files}
    counted = list(_COUNT.finditer(ran.output))
    said = counted[-1][0] if counted else ""
    applied = sum(entry.outcome == "applied" for entry in entries)
    remarks = []
    if counted and int(counted[-1][1]) != applied:
        rebinds = sum(entry.outcome == "no-op" and entry.start == "rebind" for entry in entries)
        remarks.append(
            f"it says {said!r}; {applied} of its patches changed all their files"
            + (f", {rebinds} more change nothing but a running process" if rebinds else "")
        )
    return SetEntry(
        name=order.name,
        repo=order.repo,
        commit=order.commit,
        version=order.version,
        status=ran.status,
        said=said,
        applied=applied,
        unattributed=tuple(change for change in ran.changes if change.path not in known),
        remarks=tuple(remarks),
    )


def faults(sets: tuple[SetEntry, ...], entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """Say what must not become an image: the lines that end the build."""
    return (*_set_faults(sets, entries), *_patch_faults(entries))


def _set_faults(sets: tuple[SetEntry, ...], entries: tuple[Entry, ...]) -> Iterator[str]:
    for one in sets:
        if one.status and not any(entry.set == one.name and entry.said == "failed" for entry in entries):
            yield f"{one.name}: the patch set ended with status {one.status}, and no patch says why"
        for change in one.unattributed:
            yield f"{one.name}: {change.path} was changed, and by none of its patches"


def _patch_faults(entries: tuple[Entry, ...]) -> Iterator[str]:
    for entry in entries:
        name = f"{entry.set}: {entry.id}" if entry.set else entry.id
        if entry.outcome == "absent":
            yield f"{name}: the set has no such patch; its recipe names it"
        elif entry.expected == "excluded" and not entry.as_expected:
            yield f"{name} is excluded, and ran all the same: it changed {_paths(entry)}"
        elif entry.foundational and entry.outcome not in _KEPT:
            yield f"{name} is foundational and ended as {entry.outcome}: {_story(entry)}"


def _paths(entry: Entry) -> str:
    return ", ".join(change.path for change in entry.files) or "no file"


def _story(entry: Entry) -> str:
    words = [
        f"it says {entry.said} ({entry.reason})" if entry.reason else f"it says {entry.said or 'nothing'}"
    ]
    words.append(f"changed {_paths(entry)}")
    if entry.untouched:
        words.append(f"not changed {', '.join(entry.untouched)}")
    words += [f"{attempt.path}: {_anchors(attempt)}" for attempt in entry.attempts if attempt.anchors]
    return "; ".join(words)
