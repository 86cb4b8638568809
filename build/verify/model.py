"""What a verification found, the content of verify.json. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from build.recipe.refs import Digest

__all__ = ["Comparison", "Difference", "Rebuilt", "Varied", "Verdict", "Verification"]


class Verdict(StrEnum):
    """What the comparison comes to."""

    IDENTICAL = "identical"
    """The same manifest digest: every byte."""
    OTHER_COMPRESSION = "identical content, other compression"
    """The same configuration and the same layers once unpacked, packed by another version of BuildKit."""
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """One condition of the build, in the first build and in the second."""

    name: str
    before: str
    after: str
    why_not: str = ""
    """Why it was the same in both; empty where it was another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two images differ, as narrow as it could be made out."""

    layer: int
    """From 1, in the manifest's order; 0: no layer, but manifest or configuration."""
    file: str
    """Path in the layer; empty: the layer as a whole."""
    section: str
    """Part of the file: an ELF section, an archive's member, a header."""
    what: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        """Render as one line, `layer 2, app/libx.so, .nv_fatbin: module id: A, then B`."""
        place = (f"layer {self.layer}" if self.layer else "", self.file, self.section)
        words = [", ".join(part for part in place if part), self.what]
        if self.before or self.after:
            words.append(f"{self.before or 'nothing'}, then {self.after or 'nothing'}")
        return ": ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two layouts, side by side."""

    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    unlisted: int = 0
    """Further differences, not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """One of the two builds."""

    digest: Digest
    config_digest: Digest
    diff_ids: tuple[Digest, ...]
    engine: dict[str, str]
    """Versions of what built it."""
    seconds: float
    jobs: str
    """What the compile stage said of its jobs and cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verify.json holds."""

    recipe: str
    variant: str
    fingerprint: str
    verdict: Verdict
    before: Rebuilt
    """The image of record."""
    after: Rebuilt
    varied: tuple[Varied, ...]
    differences: tuple[Difference, ...]
    unlisted: int
    diffoscope: tuple[str, ...] = ()
    """Files below out/<recipe>/verify/ with what diffoscope says; none where it is not installed."""
    at: str = ""
    """When it was built again, RFC 3339 in UTC."""
