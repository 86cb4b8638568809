"""The rendered Dockerfile, as BuildKit and as a reviewer read it."""

import json
import re
import shlex
from dataclasses import replace

import pytest

from build.plan.plan import filled
from build.plan.render import render_context, render_dockerfile
from build.recipe.model import CMakeOption, Driver, Healthcheck, LinkFix, Recipe, Step
from tests.unit.plan.plans import PIN, RECIPE, TEMPLATES

HOSTILE = "a b'; rm -rf / #\"$(x)`y`|&>\\"


def render(recipe: Recipe = RECIPE) -> str:
    return render_dockerfile(TEMPLATES, filled(recipe), PIN)


def instructions(text: str) -> list[str]:
    """Split a Dockerfile into instructions, without comments, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def stages(text: str) -> dict[str, tuple[str, list[str]]]:
    """Return each stage's FROM, and its instructions."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in instructions(text):
        if line.startswith("FROM "):
            origin, name = re.fullmatch(r"FROM (.*) AS (\S+)", line).groups()  # type: ignore[union-attr]
            found[name] = (origin, [])
        else:
            found[name][1].append(line)
    return found


THREE = replace(RECIPE, steps=(*RECIPE.steps, Step(name="bench", dir="bench/x", targets=("a", "b"))))


def test_the_stages_of_a_recipe_with_steps() -> None:
    assert {name: origin for name, (origin, _) in stages(render(THREE)).items()} == {
        "buildenv": "--platform=$BUILDPLATFORM toolchain",
        "probe": "buildenv",
        "configure": "probe",
        "compile": "configure",
        "configure-tools": "compile",
        "compile-tools": "configure-tools",
        "configure-bench": "compile-tools",
        "compile-bench": "configure-bench",
        "collect": "compile-bench",
        "runtime": "base",
    }


def test_every_stage_but_the_last_runs_on_the_build_host() -> None:
    found = stages(render(THREE))
    for name in found:
        root = name
        while found[root][0] in found:
            root = found[root][0]
        assert found[root][0].startswith("--platform=$BUILDPLATFORM ") is (name != "runtime"), name
    assert list(found)[-1] == "runtime"


def test_nothing_but_copies_is_done_in_the_last_stage() -> None:
    _, last = stages(render())["runtime"]
    words = {line.split()[0] for line in last}
    assert words <= {"COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"} | {
        "LABEL"
    }


@pytest.mark.parametrize("recipe", [RECIPE, THREE], ids=["two steps", "three steps"])
def test_no_run_has_a_network(recipe: Recipe) -> None:
    runs = [line for line in instructions(render(recipe)) if line.startswith("RUN")]
    assert len(runs) >= 4
    assert [line for line in runs if "--network=none" not in line.split()] == []


@pytest.mark.parametrize(
    ("fix", "flag"),
    [
        (LinkFix.STUB_RPATH_LINK, "-Wl,-rpath-link,/opt/driver-stub"),
        (
            LinkFix.LINK_LCUDA,
            "-L/usr/local/cuda/lib64/stubs -Wl,--push-state,--as-needed -lcuda -Wl,--pop-state",
        ),
        (LinkFix.ALLOW_SHLIB_UNDEFINED, "-Wl,--allow-shlib-undefined"),
        (LinkFix.NONE, ""),
    ],
)
def test_the_link_fix_is_said_exactly_once(fix: LinkFix, flag: str) -> None:
    text = "\n".join(instructions(render(replace(THREE, link_fix=fix))))
    assert re.findall(r'LDFLAGS="([^"]*)"', text) == [flag]
    assert text.count("LDFLAGS") == 1, "no step says anything of its own"


def test_a_recipe_without_the_driver_says_why_there_is_no_fix() -> None:
    none = replace(RECIPE, link_fix=LinkFix.NONE, toolchain=replace(RECIPE.toolchain, driver=Driver.NONE))
    assert "# No link fix: nothing that is built here links the driver." in render(none)


def test_every_step_has_its_options_and_targets() -> None:
    found = stages(render(THREE))
    first, tools = "\n".join(found["configure"][1]), "\n".join(found["configure-tools"][1])
    assert "-S /src -B /build/main" in first
    assert "-DGGML_CUDA=ON" in first
    assert "-DLLAMA_BUILD_NUMBER=42" in first
    assert "check-configure.sh /tmp/configure.log /build/main cuda OLD_NAME" in first
    assert "-S /src/tools -B /build/tools" in tools
    assert "-DROOT=/build/main" in tools
    assert "GGML_CUDA" not in tools
    assert "check-configure.sh /tmp/configure.log /build/tools any" in tools
    assert "compile.sh /build/main server" in "\n".join(found["compile"][1])
    assert "compile.sh /build/bench a b" in "\n".join(found["compile-bench"][1])
    assert "collect.sh /build/main /build/tools /build/bench" in "\n".join(found["collect"][1])


def test_every_compiler_of_a_compile_step_goes_through_slot_sh() -> None:
    """The compile cache launches all compilers, compile.sh prefixes what it starts, and both find their places in the step."""
    text = (TEMPLATES / "scripts" / "compile.sh").read_text()
    assert 'CCACHE_PREFIX="sh $here/slot.sh"' in text
    slots = re.findall(r"INGOT_SLOTS_DIR=(\S+)", text)
    found = stages(render(THREE))
    (environment,) = [line for line in found["buildenv"][1] if "LAUNCHER" in line]
    assert re.findall(r"CMAKE_(\w+)_COMPILER_LAUNCHER=ccache ", environment) == ["C", "CXX", "CUDA"]
    for name in ("compile", "compile-tools", "compile-bench"):
        (run,) = [line for line in found[name][1] if line.startswith("RUN ")]
        mounted = dict(re.findall(r"--mount=type=bind,source=scripts/(\S+),target=(\S+)", run))
        here = mounted["compile.sh"].removesuffix("/compile.sh")
        assert mounted["slot.sh"] == f"{here}/slot.sh"
        assert f" sh {mounted['compile.sh']} /build/" in run
        # One name for all recipes: builds that run side by side share what is mounted.
        assert re.findall(r"--mount=type=cache,id=ingot-slots,target=(\S+)", run) == slots


def test_a_hostile_option_stays_one_word() -> None:
    """Decoding refuses it; this is what would happen if it did not."""
    value = HOSTILE.replace("\\", "")
    text = render(replace(RECIPE, cmake=(CMakeOption(name="A", value=value),)))
    (run,) = [line for line in instructions(text) if "-S /src " in line]
    words = shlex.split(run.partition(" -- ")[2].partition("-S /src ")[0])
    assert f"-DA={value}" in words


@pytest.mark.parametrize("mark", ['"', "\\", "$", "\n"])
def test_a_hostile_variable_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a Dockerfile's ENV"):
        render(replace(RECIPE, runtime=replace(RECIPE.runtime, env=(("A", f"x{mark}y"),))))


def test_variables_are_quoted_and_the_recipes_own_win() -> None:
    env = (("A", "b c #d"), ("NVIDIA_VISIBLE_DEVICES", "0"))
    lines = instructions(render(replace(RECIPE, runtime=replace(RECIPE.runtime, env=env))))
    assert [line for line in lines if line.startswith("ENV")][-4:] == [
        'ENV NVIDIA_VISIBLE_DEVICES="0"',
        'ENV NVIDIA_DRIVER_CAPABILITIES="compute,utility"',
        'ENV NVIDIA_REQUIRE_CUDA="cuda>=13.0"',
        'ENV A="b c #d"',
    ]


def test_the_entrypoint_is_a_json_list() -> None:
    entry = ("/app/server", 'a "b"', "$HOME", "ü")
    (line,) = [
        line
        for line in instructions(render(replace(RECIPE, runtime=replace(RECIPE.runtime, entrypoint=entry))))
        if line.startswith("ENTRYPOINT")
    ]
    assert tuple(json.loads(line.removeprefix("ENTRYPOINT"))) == entry


def test_the_health_check_is_the_recipes_or_none() -> None:
    runtime = replace(
        RECIPE.runtime, port=1234, healthcheck=Healthcheck(path="/ok", start_period_s=5, interval_s=7)
    )
    (line,) = [
        line for line in instructions(render(replace(RECIPE, runtime=runtime))) if "HEALTHCHECK" in line
    ]
    assert "--interval=7s" in line
    assert "--start-period=5s" in line
    assert '"http://127.0.0.1:1234/ok"' in line
    assert "HEALTHCHECK" not in render(replace(RECIPE, runtime=replace(RECIPE.runtime, healthcheck=None)))


def test_the_context_is_what_the_file_binds() -> None:
    context = render_context(TEMPLATES, RECIPE, PIN)
    text = "\n".join(instructions(render()))
    bound = set(re.findall(r"type=bind,source=([\w./-]+)", text))
    for source in bound:
        assert source in context or any(name.startswith(f"{source}/") for name in context), source
    assert all(any(name == source or name.startswith(f"{source}/") for source in bound) for name in context)


def test_it_is_rendered_the_same_twice() -> None:
    assert render() == render()
