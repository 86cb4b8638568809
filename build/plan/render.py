"""Recipe to text: the Dockerfile and the files it uses. Reads templates, writes nothing."""

from dataclasses import dataclass
from pathlib import Path

from build.doors.templates import render
from build.pin.model import Pin
from build.pin.packages import LAYERS
from build.plan.orders import orders, patched
from build.recipe.model import CMakeOption, GitSource, PackagesSource, Recipe, SdistSource, VendorSource

__all__ = ["SITE_PACKAGES", "TemplateStep", "render_context", "render_dockerfile"]

_NVIDIA_ENV = (("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"))
"""What nvidia-container-toolkit looks for in an image that wants a GPU."""


SITE_PACKAGES = "/opt/venv/lib/python3.11/site-packages"
"""Where wheels are installed."""

_LAYER_WORDS = {
    "cuda": "CUDA's libraries and torch: four fifths of the bytes, the same in all recipes with the same torch.",
    "dependencies": "What the application needs beside them.",
    "application": "The application itself.",
}

_COMPILING = (
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
            return f"the wheels of recipes/{packages},"
        case VendorSource(image=image):
            return image


def _require(cuda: str) -> str:
    """Say what nvidia-container-toolkit must find: any driver of the toolkit's major version serves its minor versions.

    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    return f"cuda>={cuda.partition('.')[0]}.0"


def render_dockerfile(templates: Path, recipe: Recipe, pin: Pin) -> str:
    """Render the Dockerfile of a recipe whose variant is merged and whose placeholders are filled in."""
    env = (
        dict(_NVIDIA_ENV)
        | {"NVIDIA_REQUIRE_CUDA": _require(recipe.toolchain.cuda)}
        | dict(recipe.runtime.env)
    )
    source = recipe.source
    return render(
        templates,
        f"{recipe.family.value}.Dockerfile.j2",
        recipe=recipe.name,
        title=recipe.title,
        source_line=_source_line(recipe),
        architectures=recipe.toolchain.architectures,
        driver=recipe.toolchain.driver.value,
        link_fix=recipe.link_fix.value,
        toolchain_lock=pin.toolchain.lock if pin.toolchain else "",
        steps=_steps(recipe),
        layers=LAYERS,
        layer_words=_LAYER_WORDS,
        vendor=source.image if isinstance(source, VendorSource) else "",
        site_packages=_site_packages(recipe),
        python="python3" if isinstance(source, VendorSource) else "/opt/venv/bin/python",
        patched=patched(recipe),
        edits=bool(recipe.patches),
        ours=any(one.helper or one.exclude for one in recipe.patch_sets),
        patch_sets=tuple(one.name for one in recipe.patch_sets),
        app_dir="/app",
        env=tuple(env.items()),
        user=recipe.runtime.user,
        workdir=recipe.runtime.workdir,
        port=recipe.runtime.port,
        healthcheck=recipe.runtime.healthcheck,
        links=tuple(sorted(recipe.runtime.links)),
        entrypoint=recipe.runtime.entrypoint,
    )


def render_context(templates: Path, recipe: Recipe, pin: Pin) -> dict[str, str]:
    """Return the files that the Dockerfile binds into its RUNs: path below the build context, and text."""
    if recipe.family.compiles:
        return _texts(templates, _COMPILING)
    ours = _patching(templates, recipe, pin)
    if not isinstance(recipe.source, PackagesSource):
        return ours
    return _texts(templates, ("scripts/install-wheels.sh",)) | {
        "left-out.txt": "".join(f"{one.files}\n" for one in recipe.source.leave_out),
        **{f"requirements/{layer}.txt": _requirements(pin, layer) for layer in LAYERS},
        **ours,
    }


def _patching(templates: Path, recipe: Recipe, pin: Pin) -> dict[str, str]:
    """Return what the stage `patched` reads of ours: its program, its orders, the files that the recipe names."""
    if not patched(recipe):
        return {}
    program = tuple(sorted(path.name for path in (templates / "scripts" / "patching").glob("*.py")))
    return (
        _texts(templates, tuple(f"scripts/patching/{name}" for name in program))
        | {"patching/orders.json": orders(recipe, pin, _site_packages(recipe))}
        | {f"patching/ours/{path}": text for one in pin.sets for path, text in one.ours}
    )


def _site_packages(recipe: Recipe) -> str:
    source = recipe.source
    return source.site_packages if isinstance(source, VendorSource) else SITE_PACKAGES


def _texts(templates: Path, names: tuple[str, ...]) -> dict[str, str]:
    return {name: (templates / name).read_text(encoding="utf-8") for name in names}


def _requirements(pin: Pin, layer: str) -> str:
    """Write what pip installs in a layer: each wheel of the pin by the one hash that it has."""
    wheels = (wheel for wheel in pin.source.wheels if wheel.layer == layer)
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
