"""What refers to an image in a registry: artifacts whose manifests name it as their subject. By the referrers API, else by a tag.

Registries without the API keep the list as an index under the tag `sha256-<hex>`, which clients write. It is read, changed and
written only where nobody changed it in between, and read again: registries have no compare-and-swap, so the moment between
the last look and the write stays. Entries of others are kept as they are.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from build.doors.distribution import document, media_type, next_page, repository_url
from build.doors.download import ReadingRegistry
from build.doors.registry import Manifest
from build.doors.retry import transient
from build.doors.web import Web
from build.errors import BadRequest, WorkFailed
from build.recipe.refs import Digest, ImageRef

__all__ = ["Referrer", "ReferrersRegistry", "fallback_tag"]

_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_ATTEMPTS: Final = 6
_MAX_PAGES: Final = 100


class _Outrun(WorkFailed):
    """What was written is not, or not yet, what is read: somebody else was faster, or the registry is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """One entry of the list: the manifest of an artifact."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str
    annotations: tuple[tuple[str, str], ...] = ()


class ReferrersRegistry(ReadingRegistry):
    """A registry that artifacts are attached in. A subject is an ImageRef with a digest."""

    def __init__(
        self, *, docker_config: Path, web: Web | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(docker_config=docker_config, web=web)
        self._wait = sleep

    def referrers(self, subject: ImageRef) -> tuple[Referrer, ...]:
        """List what refers to a manifest; entries that cannot be understood are passed over.

        Raises:
            Unavailable: the registry cannot be reached or refuses access; what refers to it is not known.
        """
        entries = self._by_api(subject)
        if entries is None:
            entries = _entries(self.manifest(fallback_tag(subject)), subject)
        found = (_referrer(entry) for entry in entries)
        return tuple(one for one in found if one is not None)

    def refer(self, subject: ImageRef, added: tuple[Referrer, ...]) -> None:
        """See to it that manifests that were pushed are listed. Doing it again changes nothing.

        Raises:
            WorkFailed: the registry does not list them, or others are faster again and again.
        """
        transient(lambda: self._refer(subject, added), on=(_Outrun,), attempts=_ATTEMPTS, sleep=self._wait)

    def _refer(self, subject: ImageRef, added: tuple[Referrer, ...]) -> None:
        listed = self._by_api(subject)
        if listed is None:
            self._write(subject, added)
        elif missing := _missing(added, listed):
            message = (
                f"{subject.registry} has taken what refers to {subject} and does not list {missing[0].digest}"
            )
            raise _Outrun(message)

    def _by_api(self, subject: ImageRef) -> list[Any] | None:
        """Return the entries; None where the registry has no such API. Some answer a page for people instead."""
        found: list[Any] = []
        url: str | None = repository_url(subject, f"referrers/{subject.digest}")
        for _ in range(_MAX_PAGES):
            if url is None:
                break
            answer = self._page(subject, url)
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            if answer.status != HTTPStatus.OK:
                raise self._failure(subject, answer, f"what refers to {subject.digest}")
            if media_type(answer) != _INDEX:
                return None
            listed = document(answer).get("manifests") or []
            found += listed if isinstance(listed, list) else []
            url = next_page(answer)
        return found

    def _write(self, subject: ImageRef, added: tuple[Referrer, ...]) -> None:
        tag = fallback_tag(subject)
        before = self.manifest(tag)
        entries = _entries(before, subject)
        missing = _missing(added, entries)
        if not missing:
            return
        index = json.loads(before.data) if before else {"schemaVersion": 2, "mediaType": _INDEX}
        # Registries refuse an index that names what was deleted.
        index["manifests"] = [one for one in entries if self._exists(subject, one)] + list(
            map(_entry, missing)
        )
        now = self.manifest(tag)
        if (now and now.digest) != (before and before.digest):
            message = f"{tag} is changed by others again and again"
            raise _Outrun(message, hint="run it again")
        self.put_manifest(tag, json.dumps(index, separators=(",", ":")).encode(), _INDEX)
        if _missing(added, _entries(self.manifest(tag), subject)):
            message = f"{tag} was written and reads back without what was added"
            raise _Outrun(message, hint="somebody else writes it at the same time: run it again")

    def _exists(self, subject: ImageRef, entry: object) -> bool:
        found = _referrer(entry)
        return found is None or self.manifest(replace(subject, tag="", digest=found.digest)) is not None


def fallback_tag(subject: ImageRef) -> ImageRef:
    """Return the tag that lists what refers to a manifest where the registry does not.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
    """
    if subject.digest is None:
        message = f"{subject} names no digest, and things are attached to a digest alone"
        raise BadRequest(message)
    return replace(subject, tag=f"sha256-{subject.digest.hex}", digest=None)


def _entries(manifest: Manifest | None, subject: ImageRef) -> list[Any]:
    """Read the index under the fallback tag. Raises WorkFailed where something else lies there."""
    if manifest is None:
        return []
    try:
        listed = json.loads(manifest.data)["manifests"]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        message = f"{fallback_tag(subject)} is no index, so it cannot list what refers to the image"
        raise WorkFailed(message, hint="the tag is kept for that list: find out who pushed it, and delete it")
    return listed


def _referrer(entry: object) -> Referrer | None:
    if not isinstance(entry, dict):
        return None
    annotations = entry.get("annotations")
    try:
        return Referrer(
            digest=Digest(str(entry["digest"])),
            media_type=str(entry.get("mediaType") or ""),
            size=int(entry["size"]),
            artifact_type=str(entry.get("artifactType") or ""),
            annotations=tuple(sorted((str(key), str(value)) for key, value in annotations.items()))
            if isinstance(annotations, dict)
            else (),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _entry(one: Referrer) -> dict[str, Any]:
    return {
        "mediaType": one.media_type,
        "digest": str(one.digest),
        "size": one.size,
        "artifactType": one.artifact_type,
        **({"annotations": dict(one.annotations)} if one.annotations else {}),
    }


def _missing(added: tuple[Referrer, ...], entries: list[Any]) -> list[Referrer]:
    named = (entry.get("digest") for entry in entries if isinstance(entry, dict))
    # What others wrote may be anything, and a list has no hash.
    there = {one for one in named if isinstance(one, str)}
    return [one for one in added if one.digest not in there]
