"""Recipes and remotes for tests of what follows upstream."""

from pathlib import Path
from typing import Any

from build.doors.git import git_output
from build.recipe.model import (
    Family,
    GitSource,
    Image,
    PackagesSource,
    Recipe,
    Runtime,
    SdistSource,
    Smoke,
    Toolchain,
    Watch,
)
from build.recipe.refs import Commit

__all__ = ["OLD", "REPO", "commit_files", "git_recipe", "lock_recipe", "sdist_recipe", "sha"]

REPO = "https://git.example.org/fork.git"


def sha(letter: str) -> Commit:
    return Commit(letter * 40)


OLD = sha("0")
_WHO = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Up Stream", "EMAIL": "up@example.org"}.items()
}


def _recipe(source: GitSource | SdistSource | PackagesSource, name: str, **watch: Any) -> Recipe:
    return Recipe(
        name=name,
        title="A fork",
        family=Family.LLAMA_CPP,
        image=Image(repository=name),
        source=source,
        toolchain=Toolchain(cuda="13.0", architectures=("120a-real",)),
        runtime=Runtime(entrypoint=("/app/server",)),
        smoke=Smoke(version="{version}"),
        watch=Watch(**watch),
    )


def git_recipe(
    *, version: str = "b9", commit: Commit = OLD, name: str = "fork", repo: str = REPO, **watch: Any
) -> Recipe:
    return _recipe(GitSource(repo=repo, commit=commit, version=version), name, **watch)


def sdist_recipe(sdist: str = "some-package==1.9", **watch: Any) -> Recipe:
    source = SdistSource(sdist=sdist, sha256="0" * 64, subdir="x", upstream=REPO, commit=OLD, version="b9")
    return _recipe(source, "archive", **watch)


def lock_recipe() -> Recipe:
    return _recipe(
        PackagesSource(
            packages="wheels.txt", application="mini", upstream="https://git.example.org/mini", version="1"
        ),
        "wheels",
    )


def commit_files(
    repository: Path,
    files: dict[str, str | None],
    *,
    branch: str = "main",
    subject: str = "change",
    onto: str = "",
    date: str = "2026-01-01T00:00:00+0000",
) -> Commit:
    """Commit files on top of `onto` (else of the branch, if there is one); None removes a file."""
    if not (repository / "HEAD").exists():
        repository.mkdir(parents=True)
        git_output(repository, "init", "--bare", "--quiet", "--initial-branch=main", ".")
        git_output(repository, "config", "uploadpack.allowFilter", "true")
    env = {"GIT_INDEX_FILE": str(repository / "test.index"), "GIT_WORK_TREE": str(repository), **_WHO}
    env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    known = git_output(repository, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()
    parent = onto or known
    git_output(repository, "read-tree", *([parent] if parent else ["--empty"]), env=env)
    for path, text in files.items():
        if text is None:
            git_output(repository, "update-index", "--force-remove", path, env=env)
            continue
        blob = repository / "test.blob"
        blob.write_text(text)
        made = git_output(repository, "hash-object", "-w", str(blob), env=env).strip()
        git_output(repository, "update-index", "--add", "--cacheinfo", f"100644,{made},{path}", env=env)
    tree = git_output(repository, "write-tree", env=env).strip()
    parents = ("-p", parent) if parent else ()
    commit = git_output(repository, "commit-tree", tree, *parents, "-m", subject, env=env).strip()
    git_output(repository, "update-ref", f"refs/heads/{branch}", commit)
    return Commit(commit)
