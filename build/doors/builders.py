"""What buildx says of itself and of a builder. Pure: text in, values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from build.doors.platforms import TARGET

__all__ = ["BuilderInfo", "parse_builder", "parse_version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderInfo:
    """What a buildx builder is."""

    name: str
    driver: str
    status: str
    platforms: tuple[str, ...]
    buildkit: str
    """Its BuildKit's version; a distribution's own says `v0.0.0+unknown`."""
    containerd_store: bool
    endpoint: str = ""
    """Where its BuildKit runs: an address of docker or of BuildKit, or the name of a docker context."""
    natives: tuple[str, ...] = ()
    """What each node runs without emulation: BuildKit lists that first."""
    drops_mounts: bool = False
    """Its garbage collection names cache mounts among what goes first, as BuildKit's and dockerd's own policy does."""

    @property
    def native(self) -> str:
        """What compile stages of an image run on without emulation; empty where no node is up."""
        return TARGET if TARGET in self.natives else next(iter(self.natives), "")

    @property
    def can_export_oci(self) -> bool:
        """The engine's own BuildKit exports OCI only with the containerd image store; the other drivers always do."""
        return self.driver not in {"", "docker"} or self.containerd_store


def parse_version(text: str) -> str:
    """Find the version in `github.com/docker/buildx v0.13.1 <commit>`."""
    found = re.search(r"buildx v?(\S+)", text)
    return found.group(1) if found else ""


def parse_builder(text: str) -> BuilderInfo:
    """Read `docker buildx inspect`. Of several nodes the first that builds for linux/amd64 speaks for all of them, but for what they run."""
    head, _, rest = text.partition("\nNodes:\n")
    nodes = [_fields(block) for block in re.split(r"^(?=Name:)", rest, flags=re.MULTILINE) if block.strip()]
    node = next((one for one in nodes if TARGET in _platforms(one)), (nodes or [{}])[0])
    builder = _fields(head)
    natives = (re.match(r"[a-z0-9]+/[a-z0-9]+", node.get("platforms", "")) for node in nodes)
    return BuilderInfo(
        name=builder.get("name", ""),
        driver=builder.get("driver", ""),
        status=node.get("status", ""),
        platforms=_platforms(node),
        buildkit=node.get("buildkit version", "") or node.get("buildkit", ""),
        containerd_store="org.mobyproject.buildkit.worker.snapshotter:" in text,
        endpoint=node.get("endpoint", ""),
        natives=tuple(found[0] for found in natives if found),
        drops_mounts="type==exec.cachemount" in text,
    )


def _fields(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        found = re.match(r"\s*([A-Za-z][A-Za-z ]*?):\s*(.*)$", line)
        if found:
            values.setdefault(found[1].lower(), found[2].strip())
    return values


def _platforms(node: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(part.strip().rstrip("*") for part in node.get("platforms", "").split(",") if part.strip())
