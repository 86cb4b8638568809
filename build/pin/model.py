"""The pin: what was proven about the world before anything is built. Frozen, pure."""

from dataclasses import dataclass

from build.doors.gitobjects import Link
from build.doors.platforms import TARGET, Platform
from build.recipe.refs import Digest

__all__ = ["PatchProof", "PatchedFile", "Pin", "PinnedImage", "PinnedSet", "PinnedSource", "PinnedWheel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedFile:
    """A file before and after a patch, by git's name of its bytes (`git hash-object`); empty where it is not there."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchProof:
    """What applying one patch to the pinned source did."""

    file: str
    sha256: str
    verdict: str
    """`clean`, or `offset N` lines."""
    touches: tuple[str, ...]
    """Files it changes."""
    changes: tuple[PatchedFile, ...] = ()
    """The same files, before and after; empty in pins of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedWheel:
    """One wheel that is installed."""

    name: str
    version: str
    file: str
    sha256: str
    layer: str
    """The image's layer that it goes into; the pin's wheels are in that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedSource:
    """The source, proven: what it is, and the hash of exactly the files that are compiled or installed.

    What is taken as its publisher built it, wheels or an image, has no commit and no tree.
    """

    url: str
    commit: str
    committed_at: str
    """RFC 3339 in UTC; the image's creation date."""
    tree: str
    """Git tree id before patches."""
    patched_tree: str
    """Git tree id with all patches applied; names the export below the cache."""
    links: tuple[Link, ...]
    """What lies where the tree only names commits, submodules that are not fetched too."""
    archive_sha256: str = ""
    """Of the source archive, or of the lock that names the wheels."""
    wheels: tuple[PinnedWheel, ...] = ()
    submodules: tuple[tuple[str, str], ...] = ()
    """Path and commit."""
    patches: tuple[PatchProof, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedSet:
    """A patch set, proven like a source, and the recipe's own files that it is run with."""

    name: str
    source: PinnedSource
    ours: tuple[tuple[str, str], ...] = ()
    """Path below patches/ and text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedImage:
    """An image the build starts from: toolchain or base."""

    lock: str
    """Hash of everything it is made from that is written down; its name below the cache."""
    digest: Digest
    """Manifest digest of the layout that is there."""
    origin: str
    """`registry: <reference>` or `bootstrapped: debian/<suite>`."""
    packages: tuple[str, ...]
    """Debian packages as `name=version`."""
    platform: Platform = TARGET
    """What it runs on."""
    cross: str = ""
    """Hash of what a toolchain is also made from where it runs on another architecture than it compiles for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A recipe's pin."""

    recipe: str
    inputs: str
    """Hash of what the recipe and its locks asked for; a later run with the same need not ask the world again."""
    source: PinnedSource
    toolchain: PinnedImage | None
    """None where nothing is compiled."""
    base: PinnedImage
    sets: tuple[PinnedSet, ...] = ()
    """Patch sets, in the recipe's order."""
