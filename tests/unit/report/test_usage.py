"""The lines to copy are what a shell, compose and Helm read as it was meant."""

import subprocess
from dataclasses import replace

import pytest
import yaml

from build.recipe.model import Runtime, Serve
from build.report.usage import usage
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import BUILT, PLAN, page, report

ARGS = [
    "--model", "/models/model.gguf", "--spec-draft-model", "/models/spec-draft-model.gguf", "--spec-type", "dflash",
    "--port", "8080", "-ngl", "99", "--ctx-size", "262144", "--cache-type-k", "q8_0", "--chat-template-kwargs",
    '{"enable_thinking": false}',
]  # fmt: skip
IMAGE = f"registry.example.org/me/beellama-cpp:{PLAN.tag}@{BUILT.digest}"


def as_a_shell_reads(command: str) -> list[str]:
    script = f'docker() {{ printf "%s\\0" docker "$@"; }}; {command}'
    env = {"PWD": "/", "HOME": "/nowhere"}
    done = subprocess.run(("sh", "-c", script), cwd="/", env=env, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\0").split("\0")


@pytest.mark.processes
def test_docker_run_is_one_command() -> None:
    assert as_a_shell_reads(page().usage.docker) == [
        "docker", "run", "--rm", "--gpus", "all", "-p", "8080:8080", "--read-only", "--tmpfs", "/tmp",
        "-v", "//models:/models:ro", IMAGE, *ARGS,
    ]  # fmt: skip
    assert max(map(len, page().usage.docker.splitlines())) < 180


def test_compose_is_read_as_it_was_meant() -> None:
    service = yaml.safe_load(page().usage.compose)["services"]["beellama"]
    assert (service["image"], service["command"]) == (IMAGE, ARGS)
    assert (service["ports"], service["volumes"]) == (["8080:8080"], ["./models:/models:ro"])
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_helm_values_are_read_as_they_were_meant() -> None:
    values = yaml.safe_load(page().usage.helm)
    assert values["image"] == {
        "repository": "registry.example.org/me/beellama-cpp",
        "tag": f"{PLAN.tag}@{BUILT.digest}",
    }
    assert values["args"] == ARGS
    assert values["securityContext"]["runAsUser"] == values["securityContext"]["runAsGroup"] == 10001
    assert values["resources"]["limits"] == {"nvidia.com/gpu": 1}


@pytest.mark.processes
def test_hostile_arguments_stay_arguments() -> None:
    args = ("--x", "$(touch /tmp/x); `id` ${HOME}", "- a: {b", "'\"\n#")
    plan = replace(PLAN, recipe=replace(PLAN.recipe, serve=Serve(args=args)))
    found = usage(plan, "registry.example.org/me/x", str(BUILT.digest), verified=True, pushed=True)
    assert as_a_shell_reads(found.docker)[-4:] == list(args)
    command = yaml.safe_load(found.compose)["services"]["beellama"]["command"]
    assert [word.replace("$$", "$") for word in command] == list(args)
    assert all("$" not in word.replace("$$", "") for word in command), "compose would fill it in"
    assert yaml.safe_load(found.helm)["args"] == list(args)


def test_a_recipe_that_promises_no_arguments() -> None:
    recipe = replace(PLAN.recipe, serve=Serve(), runtime=Runtime(entrypoint=("/app/x",), port=9000, user="7"))
    found = usage(replace(PLAN, recipe=recipe), "r/x", str(BUILT.digest), verified=True, pushed=True)
    assert found.docker.endswith(f"r/x:{PLAN.tag}@{BUILT.digest}")
    assert "command" not in yaml.safe_load(found.compose)["services"]["beellama"]
    values = yaml.safe_load(found.helm)
    assert "args" not in values
    assert (values["service"]["port"], values["securityContext"]["runAsGroup"]) == (9000, 7)


def test_arguments_are_verified_by_the_check_alone() -> None:
    refused = CheckResult(name="arguments", outcome=Outcome.FAILED, reason="the promised `--x` is refused")
    assert page().usage.verified
    assert not page(report=report(refused)).usage.verified
    assert not page(report=report(without=("arguments",))).usage.verified
    assert not page(report=None).usage.verified
