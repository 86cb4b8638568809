"""A bundle of a real repository's commit with a patch, between images that were made by hand."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import store
from build.doors.bakefile import layout_digest
from build.doors.platforms import Platform
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import PinnedImage
from build.pin.packages import Packages
from build.pin.resolve import Resolver
from build.plan.model import ImagePlan
from build.plan.plan import Places, make_plan
from build.publish.bundle import gather
from build.recipe.model import GitSource, Recipe
from tests.fakes import RecordingReporter
from tests.layouts import write_layout
from tests.unit.pin.repositories import DIFF, MAIN, URL, make_recipe, make_repository, make_sources
from tests.unit.pin.test_images import no_builder

__all__ = ["Planned", "planned"]

ROOT = Path(__file__).resolve().parents[3]
PATCH = "mini/0001-a.patch"


@dataclass(frozen=True, kw_only=True)
class Planned:
    root: Path
    recipe: Recipe
    resolver: Resolver
    plan: ImagePlan

    def gather(self, bundle: Path) -> Path:
        gather(bundle, self.plan, self.recipe, self.resolver, root=self.root)
        return bundle


def planned(tmp_path: Path, *patches: str, diff: str = DIFF, platform: Platform = "linux/amd64") -> Planned:
    """Pin and plan a commit with a file, a link and a program; `PATCH` changes the file."""
    for patch in patches:
        (tmp_path / "patches" / patch).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "patches" / patch).write_text(diff)
    files = {
        "src/main.cpp": MAIN,
        "README.md": "words\n",
        "z/a-\u00e9": "1",
        ".gitignore": "*.log\n",
        "x.log": "kept",
    }
    _, commit = make_repository(tmp_path / "up.git", files, link="src/./main.cpp", out="/etc/passwd")
    recipe = make_recipe(GitSource(repo=f"{URL}up.git", commit=commit, version="b1"), *patches)
    for name in ("dockerfiles", "recipes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "recipes" / "mini.yaml").write_text(_text(f"{URL}up.git", commit, patches))
    resolver = _resolver(tmp_path, recipe, platform)
    pin = resolver.resolve(recipe, known=None)
    places = Places(
        root=tmp_path,
        out=tmp_path / "out" / "mini",
        folders=resolver.contexts(recipe, pin),
        layouts=resolver.layouts(recipe, pin),
    )
    plan = make_plan(recipe, "", pin, templates=tmp_path / "dockerfiles", places=places)
    return Planned(root=tmp_path, recipe=recipe, resolver=resolver, plan=plan)


def _text(repo: str, commit: str, patches: tuple[str, ...]) -> str:
    """Write the file of `make_recipe`'s recipe."""
    listed = "".join(f"  - file: {file}\n    why: a test\n" for file in patches)
    return (
        f"name: mini\ntitle: Mini\nfamily: llama-cpp\nimage:\n  repository: mini\n"
        f"source:\n  repo: {repo}\n  commit: {commit}\n  version: b1\n"
        'toolchain:\n  cuda: "13.0"\n  architectures: [120a-real]\n'
        'runtime:\n  entrypoint: [/app/x]\nsmoke:\n  version: "1"\n'
    ) + (f"patches:\n{listed}" if patches else "")


def _resolver(tmp_path: Path, recipe: Recipe, platform: Platform) -> Resolver:
    images = ImageStore(
        cache=tmp_path / "cache",
        templates=tmp_path / "dockerfiles",
        builder=no_builder,
        reporter=RecordingReporter(),
        registry_has=lambda _reference: False,
        platform=platform,
    )
    toolchains = tmp_path / "recipes" / "toolchains"
    debian = read_debian_lock(toolchains)
    base = images.debian_locks(debian, recipe.runtime.packages)["bootstrap"]
    cuda = read_cuda_lock(toolchains, "13.0")
    toolchain = images.toolchain_lock(cuda, debian)
    (compilers,) = images.toolchain_names(cuda, debian, mode="bootstrap")
    made: tuple[tuple[str, str, Platform], ...] = (
        ("base", base, "linux/amd64"), (compilers, toolchain, platform),
    )  # fmt: skip
    for name, key, runs_on in made:
        place = tmp_path / "cache" / "images" / f"{name}-{key[:12]}"
        place.mkdir(parents=True)
        layout = write_layout(
            place / "layout",
            [{f"etc/{name}": b"1"}],
            how="zstd" if "tool" in name else "gzip",
            platform=runs_on,
        )
        image = PinnedImage(
            lock=key,
            digest=layout_digest(layout),
            origin="bootstrapped: debian/bookworm",
            packages=("a=1",),
            platform=runs_on,
            cross=images._cross(cuda, debian) if name == compilers else "",
        )
        store.write_artifact(place / "pinned.json", image)
    return Resolver(
        sources=replace(make_sources(tmp_path), patches=tmp_path / "patches"),
        packages=Packages(
            recipes=tmp_path / "recipes",
            samples=tmp_path / "samples",
            cache=tmp_path / "cache",
            reporter=RecordingReporter(),
        ),
        images=images,
        toolchains=toolchains,
        patches=tmp_path / "patches",
        base_mode="bootstrap",
    )
