"""Files of a publisher's image, by where they are installed: taken out by a build that runs nothing of it, and kept."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.doors.bakefile import BakeTarget, bake_json
from build.doors.buildx import BuildFailed, narrated
from build.doors.effects import Builder, Reporter
from build.doors.progress import BuildEvent
from build.doors.templates import render
from build.errors import Unreachable, WorkFailed
from build.pin.wheelfiles import must_be_source
from build.recipe.sources import VendorSource
from build.recipe.words import names, shown

__all__ = ["PublishedFiles"]

_RECORD = "files.json"
_STAGE = "files"
_PACKAGES = "packages"
"""What says that packages are installed at all where the recipe says: a pattern that fits nothing is no error."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]*")
"""Paths that mean themselves in a Dockerfile, where `$` names a variable and `*`, `?` and `[` many files."""
_NO_PULL = re.compile(
    r"failed to (?:do request|authorize|fetch)|httpReadSeeker|unexpected status|pull access denied"
)
"""How BuildKit says that a registry did not give what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: str
    sha256: str
    """Empty where the image has no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What was taken out of an image; the file of number n is the n-th, from 0."""

    image: str
    site_packages: str
    files: tuple[_File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFiles:
    """Takes files out of images and keeps them below the cache: an image by its digest is asked for a file once."""

    cache: Path
    templates: Path
    builder: Callable[[], Builder]
    reporter: Reporter

    def read(self, source: VendorSource, wanted: Collection[str]) -> dict[str, bytes]:
        """Return those of the wanted files, as paths below site-packages, that the image has.

        Raises:
            Unreachable: the image cannot be pulled.
            WorkFailed: it has no such site-packages, or a wanted file is too big to be source.
        """
        paths = tuple(sorted(wanted))
        if strange := [shown(path) for path in paths if not _PLAIN.fullmatch(path)]:
            message = f"{names(strange)} cannot be taken out of a publisher's image"
            raise WorkFailed(message, hint="a patch there names files by letters, digits and _ . / + @ -")
        if not paths:
            return {}
        dockerfile = self._dockerfile(source, paths)
        place = self.cache / "published" / store.sha256_text(dockerfile)[:12]
        with store.locked(place.with_name(f"{place.name}.lock")):
            if not (place / _RECORD).exists():
                work = place.with_name(f".{place.name}.part")
                store.discard(work)
                store.write_text(work / "Dockerfile", dockerfile)
                self._take(source, paths, work)
                store.replace_dir(work, place)
        return dict(_kept(place))

    def _dockerfile(self, source: VendorSource, paths: tuple[str, ...]) -> str:
        copies = [(_only(source.site_packages, path), f"/{number}") for number, path in enumerate(paths)]
        copies.append((f"{source.site_packages}/*.dist-info/METADATA", f"/{_PACKAGES}/"))
        return render(self.templates, "published.Dockerfile.j2", image=source.image, copies=copies)

    def _take(self, source: VendorSource, paths: tuple[str, ...], work: Path) -> None:
        with self.reporter.step(f"{len(paths)} file{'s' if len(paths) > 1 else ''} of {source.image}"):
            self._bake(source, work)
        if not (work / _STAGE / _PACKAGES / "METADATA").is_file():
            raise _elsewhere(source)
        found = (_taken(work / _STAGE / str(number), path, source.image) for number, path in enumerate(paths))
        taken = _Taken(image=source.image, site_packages=source.site_packages, files=tuple(found))
        store.write_artifact(work / _RECORD, taken)

    def _bake(self, source: VendorSource, work: Path) -> None:
        (work / "context").mkdir()
        target = BakeTarget(
            name=_STAGE,
            context=str(work / "context"),
            dockerfile="../Dockerfile",
            stage=_STAGE,
            output=str(work / _STAGE),
            kind="local",
        )
        store.write_text(work / "docker-bake.json", bake_json(target))
        refused: list[str] = []
        try:
            with narrated(self.reporter) as narrate:

                def see(event: BuildEvent) -> None:
                    narrate(event)
                    if event.kind == "error":
                        refused.append(event.text)

                self.builder().bake(
                    work / "docker-bake.json", (_STAGE,), cwd=work, log=work / "build.log", on_event=see
                )
        except BuildFailed as error:
            raise _explained(error, refused, source) from error


def _only(site_packages: str, path: str) -> str:
    """Write a file as a pattern that fits it alone: COPY refuses a file that is not there, and no pattern that fits none.

    The pattern begins below site-packages, because COPY also refuses one whose plain part is not there.
    """
    return f"{site_packages}/[{path[0]}]{path[1:]}"


def _taken(file: Path, path: str, image: str) -> _File:
    # A folder of that name is copied too, with whatever links it has.
    if file.is_symlink() or not file.is_file():
        return _File(path=path, sha256="")
    must_be_source(f"{image}: {path}", file.stat().st_size)
    return _File(path=path, sha256=store.sha256_file(file))


def _kept(place: Path) -> Iterator[tuple[str, bytes]]:
    taken = store.read_artifact(place / _RECORD, _Taken, made_by="nox -s resolve")
    for number, one in enumerate(taken.files):
        file = place / _STAGE / str(number)
        if not one.sha256:
            continue
        found = store.sha256_file(file) if file.is_file() else "none, it is gone"
        if found != one.sha256:
            message = f"{file}, which is {one.path} of {taken.image}, was changed after it was taken: its hash is {found}, not {one.sha256}"
            raise WorkFailed(message, hint=f"delete {place}; it is then taken again")
        yield one.path, file.read_bytes()


def _explained(error: BuildFailed, refused: list[str], source: VendorSource) -> WorkFailed | Unreachable:
    if said := next((text for text in refused if _NO_PULL.search(text)), ""):
        return Unreachable(f"{source.image} cannot be pulled: {said}", hint=error.hint)
    # BuildKit says so unless it has copied nothing before: two patterns that fit nothing are the same to its cache.
    if any(text.endswith(f"{source.site_packages}: no such file or directory") for text in refused):
        return _elsewhere(source)
    return error


def _elsewhere(source: VendorSource) -> WorkFailed:
    message = f"{source.image} has no packages in {source.site_packages}"
    return WorkFailed(message, hint="write where they lie into source.site_packages")
