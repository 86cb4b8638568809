"""The sample fork as a git repository: samples/<name>/ committed with fixed names and dates, so that its commit is a pin."""

from pathlib import Path

from build.doors import store
from build.doors.git import commit_folder
from build.recipe.refs import Commit

__all__ = ["SAMPLES_URL", "ensure_sample", "is_sample", "sample_commit"]

SAMPLES_URL = "https://samples.ingot.invalid/"
"""Where sample recipes say their source is. `.invalid` never resolves (RFC 2606); the repository is made locally."""


def is_sample(url: str) -> bool:
    """Say whether a repository URL is one of the samples."""
    return url.startswith(SAMPLES_URL)


def ensure_sample(url: str, samples: Path, cache: Path) -> Path:
    """Return a bare repository that holds the sample of `url`, made from samples/<name>/ as it is on disk now."""
    name = url.removeprefix(SAMPLES_URL).removesuffix(".git")
    repository = cache / "samples" / f"{name}.git"
    with store.locked(repository.with_name(f"{repository.name}.lock")):
        sample_commit(samples / name, repository)
    return repository


def sample_commit(folder: Path, repository: Path) -> Commit:
    """Commit a sample's folder into a bare repository and return the commit; equal files give an equal commit."""
    return commit_folder(
        folder,
        repository,
        branch="main",
        message=f"{folder.name}: sample fork",
        date="2026-01-01T00:00:00+0000",
    )
