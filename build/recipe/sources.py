"""Where a recipe's code comes from, one type a kind. Frozen, pure; part of the recipe's types (model.py)."""

from dataclasses import dataclass

from build.recipe.refs import Commit

__all__ = ["GitSource", "LeftOut", "PackagesSource", "SdistSource", "Source", "VendorSource", "commit_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """A commit of a git repository."""

    repo: str
    """https URL of the repository."""
    commit: Commit
    version: str
    """Upstream's own name of this state: a tag, or `b<number>`. Part of the image's tag."""
    submodules: bool = False
    parent: str = ""
    """https URL of the project that this one is a fork of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdistSource:
    """A source archive from the Python package index, locked by its hash."""

    sdist: str
    """`package==version`."""
    sha256: str
    subdir: str
    """The folder inside the archive that holds the project."""
    upstream: str
    """https URL of the project whose code the archive carries."""
    commit: Commit
    """The upstream commit that the archive was made from."""
    version: str
    committed: str = ""
    """Day of that commit, YYYY-MM-DD: the image's creation date. Without it the newest file's, which says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Files of the wheels that are not shipped."""

    files: str
    """Pattern of paths below site-packages; `*` stands for slashes too."""
    why: str
    """What proves that nothing in this image ever loads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesSource:
    """Published wheels, all named with their hashes in a lock file (family python)."""

    packages: str
    """Path of the lock file below recipes/. `nox -s pins` writes it from the `.in` file beside it."""
    application: str
    """The locked package that the image is about. It has a layer of its own."""
    upstream: str
    """https URL of its project."""
    version: str
    """That package's version."""
    leave_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSource:
    """An image that the application's publisher built, taken by digest (family python)."""

    image: str
    """`name@sha256:...`."""
    upstream: str
    """https URL of the application's project."""
    version: str
    site_packages: str = "/usr/local/lib/python3.12/dist-packages"
    """Where its Python packages lie."""


Source = GitSource | SdistSource | PackagesSource | VendorSource


def commit_of(source: Source) -> str:
    """Return the upstream commit; empty for what is taken as its publisher built it."""
    match source:
        case GitSource(commit=commit) | SdistSource(commit=commit):
            return str(commit)
        case PackagesSource() | VendorSource():
            return ""
