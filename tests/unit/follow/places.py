"""A checkout with one recipe, about a fork in a repository beside it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from build.doors.git import GitMirrors
from build.doors.packageindex import IndexFile
from build.follow.bump import Bumper, Wish
from build.follow.bumped import Bump
from build.pin.source import Sources
from build.recipe.check import check
from build.recipe.model import Recipe
from tests.fakes import RecordingReporter

__all__ = ["ARGS", "CMAKE", "FORK", "HOST", "PATCH", "TREE", "Place", "Shelf"]

ROOT = Path(__file__).parents[3]
HOST = "https://git.example.org/"
FORK = f"{HOST}fork.git"
ARGS = 'option("--model"); option("--draft-max");\n'
CMAKE = 'project(x)\noption(FORK_CUDA "gpu" OFF)\noption(FORK_OLD "old" ON)\n'
TREE: dict[str, str | None] = {
    "CMakeLists.txt": CMAKE,
    "common/arg.cpp": ARGS,
    "cuda/kernel.cu": "k\n",
    "server/server.cpp": "".join(f"line {number}\n" for number in range(1, 41)),
    "docs/read.md": "d\n",
}
PATCH = """\
Subject: ten
Why: so
---
diff --git a/server/server.cpp b/server/server.cpp
--- a/server/server.cpp
+++ b/server/server.cpp
@@ -8,5 +8,5 @@
 line 8
 line 9
-line 10
+line ten
 line 11
 line 12
"""


class Shelf:
    """A package index with archives on disk."""

    def __init__(self, *files: IndexFile) -> None:
        self._files = files

    def files(self, package: str) -> Iterable[IndexFile]:
        assert package == "some-package"
        return self._files

    def download(self, url: str) -> Iterable[bytes]:
        raise AssertionError(url)


@dataclass
class Place:
    """A checkout with one recipe, `fork`, of a repository beside it."""

    root: Path
    index: Shelf

    @property
    def upstream(self) -> Path:
        return self.root / "remote" / "fork.git"

    @property
    def file(self) -> Path:
        return self.root / "recipes" / "fork.yaml"

    @property
    def sources(self) -> Sources:
        return Sources(
            mirrors=GitMirrors(
                root=self.root / "cache" / "git", replacements=((HOST, f"{self.root}/remote/"),)
            ),
            cache=self.root / "cache",
            patches=self.root / "patches",
            samples=self.root / "samples",
            reporter=RecordingReporter(),
        )

    def recipe(self, name: str = "fork") -> Recipe:
        return next(one for one in check(self.root) if one.name == name)

    def write(
        self,
        commit: str,
        *,
        version: str = "b7",
        watch: str = "branch: main",
        more: str = "",
        patch: str = PATCH,
    ) -> None:
        """Write the recipe: the sample's, about the fork."""
        text = (ROOT / "recipes" / "minifork.yaml").read_text()
        for pattern, words in (
            (r"name: minifork", "name: fork"),
            (r"repository: minifork", "repository: fork"),
            (r"  repo: .*", f"  repo: {FORK}"),
            (r"  commit: .*", f"  commit: {commit}  # the pin"),
            (r"  version: b42", f"  version: {version}{more}"),
            (r"  branch: main", f"  {watch}"),
            (r"MINI_CUDA: ", "FORK_OLD: "),
            (r"minifork/0001.*", "fork/1.patch"),
            (r"--draft-max", "--draft-max"),
        ):
            text = re.sub(pattern, words, text, count=1)
        (self.root / "patches" / "fork").mkdir(parents=True, exist_ok=True)
        (self.root / "patches" / "fork" / "1.patch").write_text(patch)
        self.file.write_text(text)

    def bumper(self, root: Path, out: Path) -> Bumper:
        return Bumper(
            root=root,
            out=out,
            sources=self.sources,
            index=self.index,
            reporter=RecordingReporter(),
            recipes=check(root),
        )

    def bump(self, **wish: str) -> Bump:
        return self.bumper(self.root, self.root / "out").bump(self.recipe(), Wish(**wish))

    def page(self) -> str:
        return (self.root / "out" / "fork" / "bump.md").read_text()
