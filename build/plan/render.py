"""Recipe to text: the Dockerfile and the files it uses. Reads templates, writes nothing."""

from dataclasses import dataclass
from pathlib import Path

from build.doors.templates import render
from build.recipe.model import CMakeOption, GitSource, PackagesSource, Recipe, SdistSource

__all__ = ["TemplateStep", "render_context", "render_dockerfile"]

_NVIDIA_ENV = (("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"))
"""What nvidia-container-toolkit looks for in an image that wants a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStep:
    """One cmake call as the template names it."""

    source_dir: str
    build_dir: str
    configure_stage: str
    compile_stage: str
    cmake: tuple[CMakeOption, ...]
    targets: tuple[str, ...]


def _steps(recipe: Recipe) -> tuple[TemplateStep, ...]:
    first = TemplateStep(
        source_dir="/src",
        build_dir="/build/main",
        configure_stage="configure",
        compile_stage="compile",
        cmake=recipe.cmake,
        targets=recipe.targets,
    )
    rest = (
        TemplateStep(
            source_dir=f"/src/{step.dir}",
            build_dir=f"/build/{step.name}",
            configure_stage=f"configure-{step.name}",
            compile_stage=f"compile-{step.name}",
            cmake=step.cmake,
            targets=step.targets,
        )
        for step in recipe.steps
    )
    return (first, *rest)


def _source_line(recipe: Recipe) -> str:
    patches = (
        f" with {len(recipe.patches)} patch{'es' if len(recipe.patches) > 1 else ''} applied"
        if recipe.patches
        else ""
    )
    match recipe.source:
        case GitSource(repo=repo, commit=commit):
            return f"{repo} at {commit}{patches},"
        case SdistSource(sdist=sdist, subdir=subdir):
            return f"{subdir} of the source archive {sdist}{patches},"
        case PackagesSource(packages=packages):
            return f"the wheels of {packages},"


def _require(cuda: str) -> str:
    """Say what nvidia-container-toolkit must find: any driver of the toolkit's major version serves its minor versions.

    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    return f"cuda>={cuda.partition('.')[0]}.0"


def render_dockerfile(templates: Path, recipe: Recipe, *, toolchain_lock: str) -> str:
    """Render the Dockerfile of a recipe whose variant is merged and whose placeholders are filled in."""
    env = (
        dict(_NVIDIA_ENV)
        | {"NVIDIA_REQUIRE_CUDA": _require(recipe.toolchain.cuda)}
        | dict(recipe.runtime.env)
    )
    return render(
        templates,
        f"{recipe.family.value}.Dockerfile.j2",
        recipe=recipe.name,
        title=recipe.title,
        source_line=_source_line(recipe),
        architectures=recipe.toolchain.architectures,
        driver=recipe.toolchain.driver.value,
        link_fix=recipe.link_fix.value,
        toolchain_lock=toolchain_lock,
        steps=_steps(recipe),
        app_dir="/app",
        env=tuple(env.items()),
        user=recipe.runtime.user,
        workdir=recipe.runtime.workdir,
        port=recipe.runtime.port,
        healthcheck=recipe.runtime.healthcheck,
        links=tuple(sorted(recipe.runtime.links)),
        entrypoint=recipe.runtime.entrypoint,
    )


def render_context(templates: Path) -> dict[str, str]:
    """Return the files that the Dockerfile binds into its RUNs: path below the build context, and text."""
    names = (
        "scripts/probe.sh",
        "scripts/configure.pl",
        "scripts/check-configure.sh",
        "scripts/compile.sh",
        "scripts/slot.sh",
        "scripts/collect.sh",
        "probe/CMakeLists.txt",
        "probe/kernel.cu",
        "probe/main.cpp",
    )
    return {name: (templates / name).read_text(encoding="utf-8") for name in names}
