"""What is written beside an image, and what it is called. Pure."""

from dataclasses import dataclass
from typing import Final

__all__ = ["PROVENANCE", "SBOM", "Attested"]

SBOM: Final = "sbom.cdx.json"
PROVENANCE: Final = "provenance.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What was written about one image."""

    name: str
    digest: str
    files: tuple[str, ...]
