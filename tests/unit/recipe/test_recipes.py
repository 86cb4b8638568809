"""The recipes of this repository: complete, explained, and fit for the charts they replace images of."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from build.plan.plan import filled, unpinned
from build.plan.render import render_dockerfile
from build.recipe.check import check
from build.recipe.effective import effective, variant_names
from build.recipe.model import GitSource, Recipe, SmokeModel

ROOT = Path(__file__).parents[3]
RECIPES = {recipe.name: recipe for recipe in check(ROOT)}
ENGINES = sorted(name for name, recipe in RECIPES.items() if recipe.smoke.model is SmokeModel.GGUF_LLAMA)
UI = ("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_BUILD_WEBUI", "LLAMA_USE_PREBUILT_WEBUI")
OFF = ("GGML_NATIVE", "GGML_CCACHE", "GGML_CUDA_NCCL", "GGML_CUDA_CUB_3DOT2", "LLAMA_OPENSSL", *UI)


def options(recipe: Recipe) -> dict[str, str]:
    return {option.name: option.value for option in recipe.cmake}


def test_the_engines_people_came_for_are_there() -> None:
    wanted = {"am17an-mtp", "atomic", "beellama", "buun", "llama-cpp", "llama-cpp-mtp", "turboquant"}
    assert wanted <= set(ENGINES)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("llama-cpp-mtp", {"llama-cpp-mtp:master-ad27757"}),
        ("buun", {"buun-llama-cpp-dflash:0.2.0"}),
        ("atomic", {"llamacpp-atomic-mtp:0.1.0"}),
        ("am17an-mtp", {"llamacpp-mtp:mtp-clean"}),
    ],
)
def test_charts_change_the_namespace_alone(name: str, images: set[str]) -> None:
    image = filled(RECIPES[name]).image
    assert images <= {f"{image.repository}:{tag}" for tag in image.tags}


def test_a_chart_of_a_version_that_is_not_built_changes_its_tag_too() -> None:
    image = filled(RECIPES["beellama"]).image
    assert (image.repository, image.tags) == ("beellama-cpp", ("latest", "v0.1.2", "0.1.2"))
    text = (ROOT / RECIPES["beellama"].origin.file).read_text(encoding="utf-8")
    assert "only the namespace changes" not in text
    assert "changes the namespace and the tag, to 0.1.2" in " ".join(RECIPES["beellama"].notes)


@pytest.mark.parametrize("name", RECIPES)
def test_a_tag_that_a_bump_would_move_to_another_version_says_so(name: str) -> None:
    """A number of a chart follows from nothing upstream says; what is upstream's is a placeholder."""
    block = (ROOT / RECIPES[name].origin.file).read_text(encoding="utf-8").partition("\nimage:\n")[2]
    block = block.partition("\n\n")[0]
    fixed = [tag for tag in RECIPES[name].image.tags if re.fullmatch(r"v?[0-9]+(\.[0-9]+)+", tag)]
    assert ("`bump` must revisit it" in block) is bool(fixed)
    assert all(f"{tag} is the chart's number" in block for tag in fixed)


@pytest.mark.parametrize("name", ["buun", "am17an-mtp", "atomic"])
def test_charts_find_the_server_where_they_call_it(name: str) -> None:
    assert dict(RECIPES[name].runtime.links)["/usr/local/bin/llama-server"] == "/app/llama-server"


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_is_left_to_what_is_installed(name: str) -> None:
    said = options(RECIPES[name])
    assert said["GGML_CUDA"] == "ON"
    assert {option: said.get(option) for option in OFF} == dict.fromkeys(OFF, "OFF")
    assert {"LLAMA_BUILD_NUMBER", "LLAMA_BUILD_COMMIT"} <= said.keys()


@pytest.mark.parametrize("name", ENGINES)
def test_variants(name: str) -> None:
    recipe = RECIPES[name]
    assert {"no-vmm", "sm89", "sm86"} <= set(variant_names(recipe))
    assert recipe.toolchain.architectures == ("120a-real",)
    assert options(effective(recipe, "no-vmm"))["GGML_CUDA_NO_VMM"] == "ON"
    assert effective(recipe, "sm89").toolchain.architectures == ("89-real",)
    assert effective(recipe, "sm86").toolchain.architectures == ("86-real",)


@pytest.mark.parametrize("name", ENGINES)
def test_runtime_has_what_charts_use(name: str) -> None:
    runtime = RECIPES[name].runtime
    assert runtime.entrypoint == ("/app/llama-server",)
    assert runtime.workdir == "/app"
    assert dict(runtime.env)["LLAMA_ARG_HOST"] == "0.0.0.0"
    assert {"bash", "curl"} <= set(runtime.packages)


@pytest.mark.parametrize("name", ENGINES)
def test_smoke_asks_what_could_have_changed(name: str) -> None:
    recipe = filled(RECIPES[name])
    assert isinstance(RECIPES[name].source, GitSource) or name == "llama-cpp"
    commit = re.findall(r"[0-9a-f]{8,9}", recipe.smoke.version)[-1]
    assert getattr(recipe.source, "commit").startswith(commit)  # noqa: B009  (a package lock has none)
    assert any(endpoint.path == "/props" and commit in endpoint.expect for endpoint in recipe.smoke.endpoints)
    assert "--no-such-flag" in recipe.smoke.refused
    assert any(flag.startswith("--spec-type") for flag in recipe.smoke.refused)
    assert recipe.serve.args
    assert recipe.notes


@pytest.mark.parametrize("name", ENGINES)
def test_every_option_has_a_reason(name: str) -> None:
    """A comment stands above it, or above the few of one subject that it is among."""
    text = (ROOT / RECIPES[name].origin.file).read_text(encoding="utf-8")
    block = text.partition("\ncmake:\n")[2].partition("\n\n")[0]
    without, *subjects = re.split(r"^(?:  # .*\n)+", f"{block}\n", flags=re.MULTILINE)
    assert without == ""
    assert all(1 <= len(lines.splitlines()) <= len(UI) for lines in subjects)
    assert sum(len(lines.splitlines()) for lines in subjects) == len(RECIPES[name].cmake)


@pytest.mark.parametrize("name", ENGINES)
def test_turbo_caches_of_dflash_forks_are_compiled(name: str) -> None:
    asks = any(word in {"turbo2_tcq", "turbo3_tcq"} or word == "dflash" for word in RECIPES[name].serve.args)
    assert options(RECIPES[name])["GGML_CUDA_FA_ALL_QUANTS"] == ("ON" if asks else "OFF")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_nothing_of_the_workplace_is_told(name: str) -> None:
    text = (ROOT / RECIPES[name].origin.file).read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|root|work|shared)/", text)


@pytest.mark.processes
def test_rendered_files_pass_hadolint(tmp_path: Path) -> None:
    files = []
    for name, recipe in RECIPES.items():
        for variant in variant_names(recipe):
            files.append(tmp_path / f"{name}+{variant}.Dockerfile")
            whole = filled(effective(recipe, variant))
            files[-1].write_text(
                render_dockerfile(
                    ROOT / "dockerfiles", whole, unpinned(whole, toolchain_lock="0" * 64, base_lock="")
                )
            )
    hadolint = Path(sys.executable).with_name("hadolint")
    run = subprocess.run(
        [hadolint, *files], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (run.returncode, run.stdout) == (0, "")
