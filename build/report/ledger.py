"""The patch ledger as people read it: what became of each patch, by files, whatever kind of source it changes. Pure.

A diff of compiled code was applied to a git tree before the build; its proof is in the pin. What happened to installed
packages was written down inside the build; the check `patches` has read it out of the image.
"""

from dataclasses import dataclass
from typing import Final

from build.pin.model import PatchProof
from build.plan.model import ImagePlan
from build.recipe.patchsets import BuildOutcome, StartEffect
from build.report.detail import Detail

__all__ = ["FileRow", "LedgerRow", "SetRow", "ledger_rows", "set_rows"]

_UNKNOWN: Final = "not known"
_STARTS: Final = {
    StartEffect.TEXT.value: "",
    StartEffect.REBIND.value: (
        "at start: rebinds code in each process that loads the set's plugin; not proven, that needs a GPU"
    ),
    StartEffect.NONE.value: "at start: no effect",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file before and after, by git's name of its bytes; empty where it was or is not there."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One patch: what a person wrote about it, and what it did."""

    name: str
    set: str
    """Empty: a diff of ours."""
    why: str
    upstream: str = ""
    drop_when: str = ""
    foundational: bool
    identity: str = ""
    """Hash of a diff."""
    outcome: str
    expected: bool
    """It ended as the recipe says."""
    wanted: str
    """How the recipe says that it ends."""
    said: str = ""
    """`clean` or `offset N` of a diff; a set's patch's own word."""
    reason: str = ""
    means: str = ""
    files: tuple[FileRow, ...] = ()
    untouched: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    """Of what is not whole: which text was found how often in which file."""
    start: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """One patch set."""

    name: str
    repo: str
    commit: str
    version: str
    said: str
    """Its own summary."""
    applied: int
    remarks: tuple[str, ...]


def ledger_rows(plan: ImagePlan, ledger: Detail) -> tuple[LedgerRow, ...]:
    """List the diffs in their order, then each set's patches in the order in which they ran."""
    seen = {one.text("id"): one for one in ledger.children("patches") if one.text("set")}
    named = [(one.name, patch.id, patch) for one in plan.recipe.patch_sets for patch in one.patches]
    named_ids = {name for _, name, _ in named}
    unseen = [
        LedgerRow(
            name=name,
            set=where,
            why=patch.why,
            foundational=patch.foundational,
            outcome=_UNKNOWN,
            expected=False,
            wanted=patch.build.value,
            reason="the check patches left no evidence",
            start=_STARTS[patch.start.value],
        )
        for where, name, patch in named
        if name not in seen
    ]
    known = [_of_set(one) for one in seen.values() if one.text("id") in named_ids]
    others = [_of_set(one) for one in seen.values() if one.text("id") not in named_ids]
    return (*_diffs(plan), *known, *unseen, *others)


def set_rows(plan: ImagePlan, ledger: Detail) -> tuple[SetRow, ...]:
    """List the patch sets, with what they said where that is known."""
    seen = {one.text("name"): one for one in ledger.children("sets")}
    nothing = Detail.of(None)
    return tuple(
        SetRow(
            name=one.name,
            repo=one.repo,
            commit=one.commit,
            version=one.version,
            said=seen.get(one.name, nothing).text("said"),
            applied=seen.get(one.name, nothing).number("applied"),
            remarks=seen.get(one.name, nothing).texts("remarks"),
        )
        for one in plan.recipe.patch_sets
    )


def _diffs(plan: ImagePlan) -> tuple[LedgerRow, ...]:
    proofs = {proof.file: proof for proof in plan.pin.source.patches}
    nothing = PatchProof(file="", sha256="", verdict="", touches=())
    rows = []
    for patch in plan.recipe.patches:
        proof = proofs.get(patch.file, nothing)
        row = LedgerRow(
            name=patch.file,
            set="",
            why=patch.why,
            upstream=patch.upstream,
            drop_when=patch.drop_when,
            foundational=patch.foundational,
            identity=proof.sha256,
            outcome=BuildOutcome.APPLIED.value if proof.file else "not proven",
            expected=bool(proof.file),
            wanted=BuildOutcome.APPLIED.value,
            said=proof.verdict,
            means="exact diff" if proof.file else "",
            files=_proven(proof),
        )
        rows.append(row)
    return tuple(rows)


def _proven(proof: PatchProof) -> tuple[FileRow, ...]:
    if proof.changes:
        return tuple(FileRow(path=one.path, before=one.before, after=one.after) for one in proof.changes)
    return tuple(FileRow(path=path, before="", after="") for path in proof.touches)


def _of_set(seen: Detail) -> LedgerRow:
    outcome = seen.text("outcome")
    whole = outcome in {BuildOutcome.APPLIED, BuildOutcome.UPSTREAM}
    return LedgerRow(
        name=seen.text("id"),
        set=seen.text("set"),
        why=seen.text("why"),
        foundational=seen.data.get("foundational") is True,
        outcome=outcome or _UNKNOWN,
        expected=seen.data.get("as_expected") is True,
        wanted=seen.text("expected"),
        said=seen.text("said"),
        reason=seen.text("reason"),
        means=seen.text("means"),
        files=tuple(
            FileRow(path=one.text("path"), before=one.text("before"), after=one.text("after"))
            for one in seen.children("files")
        ),
        untouched=seen.texts("untouched"),
        anchors=() if whole else tuple(map(_anchors, seen.children("attempts"))),
        start=_STARTS.get(seen.text("start"), ""),
        remarks=seen.texts("remarks"),
    )


def _anchors(attempt: Detail) -> str:
    found = ", ".join(f"{one.text('name')} {one.number('count')}x" for one in attempt.children("anchors"))
    return f"{attempt.text('path')}: {found or 'no anchor'}"
