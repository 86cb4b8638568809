"""Images of Python packages under the running checks: what their own interpreter answers, and what is made of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build.errors import WorkFailed
from build.recipe.model import Driver, Family, Smoke, SmokeModel
from build.smoke.clihelp import HelpFlag
from build.smoke.model import Outcome
from build.smoke.running import inside, packages, serveargs
from build.smoke.running.image import RunningImage
from build.smoke.running.suite import GPU, names_of, skipped_by
from tests.fakes import FakeContainer, FakeEngine
from tests.unit.smoke.running.images import RTX, asked, good_server, outcomes, running_image

PROMISES: Mapping[str, Any] = {
    "family": Family.PYTHON,
    "entrypoint": ("/opt/venv/bin/server", "serve"),
    "cuda": "13.0",
    "serve": ("--model", "{model}", "--attention-backend", "FLASHINFER", "--tool", "qwen3"),
    "flags": ("--kv fp8",),
    "refused": ("--no-such-flag", "--attention-backend NOPE"),
    "imports": ("vllm", "vllm.engine"),
}
UNKNOWN = "ValueError: Unknown attention backend"
TWINS = {"attention backend": UNKNOWN, "tool parser": "KeyError: 'ingot-no-such-name'"}


@dataclass
class PythonEngine(FakeEngine):
    """An engine whose image has a Python that answers what it is told to."""

    answers: dict[str, object] = field(default_factory=dict)
    garbled: str = ""

    def _start(self, container: FakeContainer) -> None:
        spec = container.spec
        if spec.entrypoint != ("python3",):
            super()._start(container)
            return
        _, _, mark, question = spec.args
        asking = json.loads(question)
        answer = self.answers[asking["task"]]
        said = json.dumps(answer(asking) if callable(answer) else answer)
        container.exit_code, container.stdout = 0, f"INFO noise\n\n{mark}\n{said}\n{mark}\n"
        if self.garbled:
            container.stdout = self.garbled.replace("MARK", mark)


def lines(asking: Mapping[str, Any]) -> dict[str, Any]:
    """Judge as a good vLLM would."""

    def one(words: list[str]) -> dict[str, Any]:
        if "--no-such-flag" in words:
            return {"refused": "error: unrecognized arguments: --no-such-flag", "names": []}
        value = words[-words[::-1].index("--attention-backend")] if "--attention-backend" in words else ""
        refused = "" if value == "FLASHINFER" else UNKNOWN
        names = [{"registry": "attention backend", "value": value, "refused": refused}] if value else []
        return {"refused": "", "names": names}

    return {"lines": [one(words) for words in asking["lines"]], "twins": TWINS}


GOOD: Mapping[str, object] = {
    "lines": lines,
    "imports": {"vllm": "", "vllm.engine": ""},
    "toolkit": {"torch": "2.11.0", "cuda": "13.0"},
    "bytecode": {"compiled": 9, "sources": 2, "findings": [], "more": 0},
}


def image(garbled: str = "", answers: Mapping[str, object] | None = None, **promises: Any) -> RunningImage:
    engine = PythonEngine(good_server(), answers={**GOOD, **(answers or {})}, garbled=garbled)
    return replace(running_image(engine, **{**PROMISES, **promises}), python=Path("/tmp/python"))


def test_a_good_image_passes_everything() -> None:
    found = outcomes(image(model=SmokeModel.MINI))
    assert tuple(found) == (*names_of(Family.PYTHON), GPU)
    assert {name: why for name, (outcome, why) in found.items() if outcome is not Outcome.PASSED} == {
        GPU: "no NVIDIA GPU on this host"
    }


def test_a_server_that_is_not_started_is_skipped_with_the_recipes_reason() -> None:
    why = "the wheel has no CPU kernels"
    found = outcomes(image(no_server=why), gpu=RTX)
    server = ("health", "endpoints", "tokens", "long_prompt", "concurrency", "sigterm", "resources")
    assert {name: found[name] for name in server} == dict.fromkeys(server, (Outcome.SKIPPED, why))
    assert found["broken_model"] == (Outcome.SKIPPED, "the recipe names no test model")
    assert found[GPU][0] is Outcome.SKIPPED
    assert set(skipped_by(Smoke(version="1", no_server=why))) == {*server, "broken_model"}
    assert set(skipped_by(Smoke(version="1", model=SmokeModel.MINI))) == set()


# The container


def test_what_is_asked_by_is_mounted_and_caches_go_to_the_tmpfs() -> None:
    spec = image(driver=Driver.LINKED).spec("--x")
    assert [mount.target for mount in spec.mounts] == [
        "/ingot/python",
        "/ingot/driver",
        "/ingot/model/tiny.mini",
    ]
    env = dict(spec.env)
    assert env["PYTHONPATH"] == "/ingot/python"
    assert env["LD_LIBRARY_PATH"] == "/ingot/driver"
    assert env["HOME"] == "/tmp/home"
    assert env["VLLM_CACHE_ROOT"].startswith("/tmp/")
    assert (spec.memory, spec.shm, spec.timeout_s) == (4 << 30, 256 << 20, 600)
    assert spec.tmpfs == (("/tmp", f"rw,noexec,nosuid,nodev,size={512 << 20}"),)


def test_the_version_is_that_of_the_program_not_of_its_subcommand() -> None:
    under_test = image()
    outcomes(under_test)
    started = [(spec.entrypoint, spec.args) for spec in asked(under_test).specs]
    assert (("/opt/venv/bin/server",), ("--version",)) in started


def test_what_is_mounted_can_be_read_by_everybody(tmp_path: Path) -> None:
    inside.lay_out(tmp_path)
    assert (tmp_path / "ingot_inside" / "__main__.py").is_file()
    assert not list(tmp_path.rglob("__pycache__"))
    assert (tmp_path / "ingot_platform-0.dist-info" / "entry_points.txt").read_text() == (
        "[vllm.platform_plugins]\ningot_platform = ingot_platform:register\n"
    )
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")} == {0o644, 0o755}
    scope: dict[str, Any] = {}
    exec((tmp_path / "ingot_platform.py").read_text(), scope)
    assert scope["register"]() == "vllm.platforms.cpu.CpuPlatform"


@pytest.mark.parametrize(
    ("garbled", "why"),
    [
        ("Traceback\n", "the image's Python ended with status 0 and did not answer: Traceback"),
        ("\nMARK\n{}\nMARK\nx\nMARK\n", "the image's Python ended with status 0 and did not answer: "),
        ("\nMARK\n{\nMARK\n", "the image's Python answered no JSON: {"),
        ("\nMARK\n[]\nMARK\n", "the image's Python answered no object: []"),
    ],
)
def test_an_answer_that_is_none(garbled: str, why: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        inside.ask(image(garbled=garbled), "imports")
    assert caught.value.message.startswith(why)


def test_no_answer_fails_every_check_that_asks() -> None:
    found = outcomes(image(garbled="nothing"))
    for name in ("arguments", "registries", "imports", "toolkit", "bytecode"):
        assert found[name] == (
            Outcome.FAILED,
            "the image's Python ended with status 0 and did not answer: nothing",
        ), name


# Modules, torch, byte code


def test_imports_that_fail_are_named_with_their_last_words() -> None:
    answer = {"vllm": "", "vllm.core": "ImportError: cannot import name 'x' from 'vllm.y'"}
    assert packages.imports(image(answers={"imports": answer})).findings == (
        "`import vllm.core`: ImportError: cannot import name 'x' from 'vllm.y'",
        "`import vllm.engine` was not tried",
    )


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        (
            {"torch": "2.10.0", "cuda": "12.9"},
            ("torch 2.10.0 is built with CUDA 12.9, the recipe says 13.0",),
        ),
        (
            {"torch": "2.13.0+cpu", "cuda": "None"},
            ("torch 2.13.0+cpu is built with CUDA None, the recipe says 13.0",),
        ),
        ({"failed": "OSError: libcudart.so.13"}, ("`import torch`: OSError: libcudart.so.13",)),
        ({}, ()),
    ],
)
def test_the_toolkit_of_torch(answer: dict[str, str], findings: tuple[str, ...]) -> None:
    assert packages.toolkit(image(answers={"toolkit": answer})).findings == findings


def test_byte_code_findings_are_passed_on() -> None:
    answer = {"compiled": 3, "sources": True, "findings": ["a.pyc has no source any more"], "more": 7}
    verdict = packages.bytecode(image(answers={"bytecode": answer}))
    assert verdict.findings == ("a.pyc has no source any more", "and 7 more")
    assert verdict.detail["compiled"] == 3


# Command lines


def test_promises_that_are_kept() -> None:
    judged = serveargs.judge(image())
    assert serveargs.check(judged).findings == serveargs.registries(judged).findings == ()
    assert serveargs.check(judged).detail["refused"] == ["--no-such-flag", "--attention-backend NOPE"]
    assert serveargs.registries(judged).detail == {
        "known": ["attention backend: FLASHINFER"],
        "registries": ["attention backend", "tool parser"],
    }


def refusing(word: str) -> object:
    def answer(asking: Mapping[str, Any]) -> dict[str, Any]:
        said = [
            {"refused": f"error: unrecognized arguments: {word}" if word in words else "", "names": []}
            for words in asking["lines"]
        ]
        return {"lines": said, "twins": TWINS}

    return answer


def test_a_flag_that_is_gone_is_picked_out_of_the_command_line() -> None:
    listed = (HelpFlag(spellings=("--model",)),)
    judged = serveargs.judge(image(answers={"lines": refusing("--tool")}, refused=()))
    (finding,) = serveargs.check(judged, listed).findings
    assert finding == (
        "the promised `--tool qwen3` is refused, --tool is gone: --help does not list it either: "
        "error: unrecognized arguments: --tool"
    )


def test_a_promised_flag_and_a_line_that_only_fails_as_a_whole() -> None:
    judged = serveargs.judge(image(answers={"lines": refusing("fp8")}, refused=()))
    assert serveargs.check(judged).findings == (
        "the promised `--kv fp8` is refused: error: unrecognized arguments: fp8",
    )

    def whole(asking: Mapping[str, Any]) -> dict[str, Any]:
        said = [
            "TypeError: both" if "--model" in words and "--tool" in words else "" for words in asking["lines"]
        ]
        return {"lines": [{"refused": one, "names": []} for one in said], "twins": TWINS}

    (finding,) = serveargs.check(serveargs.judge(image(answers={"lines": whole}, refused=()))).findings
    assert finding.startswith("the promised `--model /ingot/model/tiny.mini --attention-backend FLASHINFER")
    assert finding.endswith("is refused: TypeError: both")


def test_what_should_be_refused_and_is_taken() -> None:
    judged = serveargs.judge(image(refused=("--attention-backend FLASHINFER",)))
    assert serveargs.check(judged).findings == (
        "`--attention-backend FLASHINFER` should be refused and is accepted: neither parser nor registries look at it",
    )


def test_a_name_that_no_registry_has() -> None:
    judged = serveargs.judge(image(flags=("--attention-backend OLD",)))
    assert serveargs.check(judged).findings == ()
    assert serveargs.registries(judged).findings == (f"the attention backend 'OLD' is not known: {UNKNOWN}",)


def test_a_registry_that_takes_any_name_proves_nothing() -> None:
    def answer(asking: Mapping[str, Any]) -> dict[str, Any]:
        return {**lines(asking), "twins": {**TWINS, "tool parser": ""}}

    judged = serveargs.judge(image(answers={"lines": answer}))
    assert serveargs.registries(judged).findings == (
        "the registry of each tool parser takes any name: nothing is proven by it",
    )


def test_answers_of_another_shape_are_no_promises_kept() -> None:
    judged = serveargs.judge(image(answers={"lines": {"lines": [7], "twins": None}}, flags=()))
    assert serveargs.check(judged).findings[0] == (
        "the promised `--model /ingot/model/tiny.mini --attention-backend FLASHINFER --tool qwen3` is refused: "
        "the image gave no answer"
    )
