"""The check of the help text: what fails it, what it only notes, and how it explains a refusal."""

from typing import Any

import pytest

from build.smoke.model import Outcome
from build.smoke.running import arguments
from build.smoke.running import help as helptext
from build.smoke.running.suite import run_running
from tests.fakes import FakeContainer, FakeEngine
from tests.unit.smoke.running.images import FLAGS, NONE, asked, good_server, outcomes, running_image

PROMISES = ("--model", "-ngl", "--spec-type", "--temp", "--jinja", "--flash-attn", "--ctx-size")


def listing(*lines: str) -> str:
    """Lay out flags as llama.cpp does; the other promised ones are listed too."""
    named = {line.split()[0] for line in lines}
    rest = [f"{flag} N" for flag in PROMISES if flag not in named]
    return "".join(f"{line:<40}text\n" for line in (*lines, *rest))


def test_every_promise_is_listed() -> None:
    read = helptext.check(running_image(good_server()))
    assert read.verdict.findings == ()
    assert read.verdict.detail == {"flags": len(FLAGS), "unlisted": [], "removed": [], "unlisted_values": []}
    assert [flag.name for flag in read.flags] == list(FLAGS)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"help": ""}, "`--help` prints nothing"),
        ({"help": "  \n"}, "`--help` prints nothing"),
        (
            {"help": "Segmentation fault"},
            "`--help` lists no flag that could be read: Segmentation fault",
        ),
        ({"help": "CUDA error\n", "help_exit": 1}, "`--help` ended with status 1: CUDA error"),
    ],
)
def test_a_help_that_cannot_be_read_fails(changes: dict[str, Any], finding: str) -> None:
    read = helptext.check(running_image(good_server(**changes)))
    assert (read.verdict.findings, read.flags) == ((finding,), ())
    assert outcomes(running_image(good_server(**changes)))["help"] == (Outcome.FAILED, finding)


def test_a_hidden_flag_that_is_accepted_is_a_note_and_no_failure() -> None:
    server = good_server(help="\n".join(f"{flag} N" for flag in PROMISES if flag != "--jinja"))
    read = helptext.check(running_image(server))
    assert read.verdict.findings == ()
    assert read.verdict.detail["unlisted"] == ["--jinja"]
    found = outcomes(running_image(server))
    assert found["help"] == found["arguments"] == (Outcome.PASSED, "")


def test_a_value_that_is_not_listed_is_a_note() -> None:
    server = good_server(help=listing("--spec-type none,other"))
    assert helptext.check(running_image(server)).verdict.detail["unlisted_values"] == [
        "--spec-type draft-mini"
    ]


def test_a_flag_that_is_listed_as_removed_is_a_note() -> None:
    text = listing().replace(
        f"{'--temp N':<40}text", f"{'--temp N':<40}the argument has been removed. use --heat"
    )
    assert helptext.check(running_image(good_server(help=text))).verdict.detail["removed"] == ["--temp"]


@pytest.mark.parametrize(
    ("listed", "standing"),
    [
        (listing(), "--jinja is listed by --help and rejected by the parser"),
        ("--model FNAME", "--jinja is gone: --help does not list it either"),
        ("", ""),
    ],
)
def test_a_refusal_says_whether_the_flag_is_gone_or_listed(listed: str, standing: str) -> None:
    takes = {name: values for name, values in FLAGS.items() if name != "--jinja"}
    found = outcomes(running_image(good_server(takes=takes, help=listed)))["arguments"]
    said = f", {standing}" if standing else ""
    assert found == (
        Outcome.FAILED,
        f"the promised `--jinja` is refused{said}: error: invalid argument: --jinja",
    )


def test_a_value_that_is_gone_is_told_from_a_flag_that_is() -> None:
    takes = FLAGS | {"--spec-type": ("none", "other")}
    image = running_image(good_server(takes=takes))
    verdict = arguments.check(image, helptext.check(image).flags)
    said = "error: unknown value for --spec-type: draft-mini"
    standing = "--help lists --spec-type without the value draft-mini"
    assert verdict.findings == (f"the promised `--spec-type draft-mini` is refused, {standing}: {said}",)


def test_the_flags_are_handed_on() -> None:
    image = running_image(good_server())
    assert [flag.name for flag in run_running(image, gpu=NONE).flags] == list(FLAGS)
    assert sum(spec.args == ("--help",) for spec in asked(image).specs) == 1


def test_help_on_stderr_is_read_too() -> None:
    class Older(FakeEngine):
        def _start(self, container: FakeContainer) -> None:
            super()._start(container)
            container.stdout, container.stderr = container.stderr, container.stdout

    image = running_image(Older(good_server()))
    assert [flag.name for flag in helptext.check(image).flags] == list(FLAGS)


def test_a_help_that_names_the_way_to_the_whole_is_asked_again() -> None:
    class Sections(FakeEngine):
        def _start(self, container: FakeContainer) -> None:
            container.exit_code = 0
            container.stdout = "For full list: vllm serve --help=all\n"
            if container.spec.args == ("--help=all",):
                container.stdout = listing("--model MODEL")

    image = running_image(Sections(good_server()))
    assert helptext.check(image).verdict.findings == ()
    assert [spec.args for spec in asked(image).specs] == [("--help",), ("--help=all",)]
