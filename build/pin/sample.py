"""The sample fork as a git repository: samples/<name>/ committed with fixed names and dates, so that its commit is a pin."""

from pathlib import Path

from build.doors import store
from build.doors.commits import commit_folder, commit_patch
from build.errors import BadRequest
from build.recipe.refs import Commit

__all__ = ["SAMPLES_URL", "ensure_sample", "is_sample", "sample_commit"]

SAMPLES_URL = "https://samples.ingot.invalid/"
"""Where sample recipes say their source is. `.invalid` never resolves (RFC 2606); the repository is made locally."""

_DATE = "2026-01-01T00:00:00+0000"
_NEXT_DATE = "2026-02-01T00:00:00+0000"


def is_sample(url: str) -> bool:
    """Say whether a repository URL is one of the samples."""
    return url.startswith(SAMPLES_URL)


def ensure_sample(url: str, samples: Path, cache: Path) -> Path:
    """Return a bare repository that holds the sample of `url`, made from samples/<name>/ as it is on disk now."""
    name = url.removeprefix(SAMPLES_URL).removesuffix(".git")
    repository = cache / "samples" / f"{name}.git"
    if not (samples / name).is_dir():
        message = f"there is no sample {url}"
        raise BadRequest(message, hint="the samples lie in samples/")
    with store.locked(repository.with_name(f"{repository.name}.lock")):
        sample_commit(samples / name, repository)
    return repository


def sample_commit(folder: Path, repository: Path) -> Commit:
    """Commit a sample's folder into a bare repository and return the commit; equal files give an equal commit.

    Where samples/<name>-next.patch lies, the branch `next` is one commit ahead of `main`.
    """
    name = folder.name
    main = commit_folder(folder, repository, branch="main", message=f"{name}: sample fork", date=_DATE)
    patch = folder.with_name(f"{name}-next.patch")
    if patch.is_file():
        commit_patch(patch, repository, onto=main, branch="next", message=f"{name}: next", date=_NEXT_DATE)
    return main
