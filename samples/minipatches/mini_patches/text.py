"""Edits one installed file by anchors: each must be there exactly once, and what does not fit is passed over."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Result(Enum):
    APPLIED = "applied"
    IDEMPOTENT = "idempotent"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Edit:
    name: str
    anchor: str
    replacement: str
    required: bool = False


@dataclass
class Patcher:
    target_file: str
    marker: str
    sub_patches: list[Edit]
    upstream_drift_markers: list[str] = field(default_factory=list)

    def apply(self) -> tuple[Result, str]:
        path = Path(self.target_file)
        if not path.is_file():
            return Result.SKIPPED, "target_file_missing"
        text = path.read_text()
        if self.marker in text:
            return Result.IDEMPOTENT, ""
        if any(mark in text for mark in self.upstream_drift_markers):
            return Result.SKIPPED, "upstream_merged"
        done = 0
        for edit in self.sub_patches:
            count = text.count(edit.anchor)
            if count == 0 and not edit.required:
                continue
            if count != 1:
                return Result.SKIPPED, "required_anchor_missing" if count == 0 else "ambiguous_anchor"
            text = text.replace(edit.anchor, edit.replacement)
            done += 1
        if not done:
            return Result.SKIPPED, "no_applicable_edits"
        try:
            path.write_text(f"# [Mini patch marker: {self.marker}]\n{text}")
        except OSError as error:
            return Result.FAILED, str(error)
        return Result.APPLIED, ""
