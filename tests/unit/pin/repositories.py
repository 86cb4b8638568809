"""Real repositories below tmp_path, with fixed names and dates and nobody's configuration."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from build.doors.git import GitMirrors
from build.pin.source import Sources
from build.recipe.model import (
    Family,
    GitSource,
    Image,
    Patch,
    Recipe,
    Runtime,
    SdistSource,
    Smoke,
    Toolchain,
)
from build.recipe.refs import Commit
from tests.fakes import RecordingReporter

__all__ = ["DIFF", "MAIN", "URL", "commit_tree", "git", "make_recipe", "make_repository", "make_sources"]

URL = "https://git.example.org/"
WHO = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "T", "EMAIL": "t@example.org", "DATE": "2026-03-01T12:00:00+0200"}.items()
}
ENV = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **WHO}

MAIN = "".join(f"int line_{number}() {{ return {number}; }}\n" for number in range(1, 21))
"""Twenty lines that differ, so that a hunk fits in one place only."""

DIFF = """\
--- a/src/main.cpp
+++ b/src/main.cpp
@@ -8,7 +8,7 @@
 int line_8() { return 8; }
 int line_9() { return 9; }
 int line_10() { return 10; }
-int line_11() { return 11; }
+int line_11() { return 1111; }
 int line_12() { return 12; }
 int line_13() { return 13; }
 int line_14() { return 14; }
"""


def git(folder: Path, *arguments: str) -> str:
    command = ("git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments)
    return subprocess.run(command, env={**os.environ, **ENV}, check=True, capture_output=True).stdout.decode()


def make_repository(path: Path, files: Mapping[str, str | bytes], **links: str) -> tuple[Path, Commit]:
    """Make a repository with one commit of these files; `links` are symbolic ones."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main", ".")
    # What is committed are the bytes given here, also where a test commits attributes.
    (path / ".git" / "info" / "attributes").write_text("* -text -ident -working-tree-encoding\n")
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    for name, target_name in links.items():
        (path / name).symlink_to(target_name)
    return path, commit_tree(path)


def commit_tree(path: Path, message: str = "a commit") -> Commit:
    git(path, "add", "--all", "--force", ".")
    git(path, "commit", "--quiet", "--message", message)
    return Commit(git(path, "rev-parse", "HEAD").strip())


def make_sources(tmp_path: Path, *replacements: tuple[str, str]) -> Sources:
    cache = tmp_path / "cache"
    return Sources(
        mirrors=GitMirrors(root=cache / "git", replacements=replacements or ((URL, f"{tmp_path}/"),)),
        cache=cache,
        patches=tmp_path / "patches",
        samples=tmp_path / "samples",
        reporter=RecordingReporter(),
    )


def make_recipe(source: GitSource | SdistSource, *patches: str) -> Recipe:
    return Recipe(
        name="mini", title="Mini", family=Family.LLAMA_CPP, image=Image(repository="mini"), source=source,
        toolchain=Toolchain(cuda="13.0", architectures=("120a-real",)), runtime=Runtime(entrypoint=("/app/x",)),
        smoke=Smoke(version="1"), patches=tuple(Patch(file=file, why="a test") for file in patches),
    )  # fmt: skip
