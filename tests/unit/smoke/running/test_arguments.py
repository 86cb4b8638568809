import pytest

from build.doors.effects import ContainerSpec, RunResult
from build.smoke.running import arguments
from tests.fakes import FakeEngine, Server
from tests.unit.smoke.running.images import FLAGS, asked, good_server, running_image


def takes(**changes: tuple[str, ...] | None) -> dict[str, tuple[str, ...] | None]:
    return FLAGS | {"--" + name.replace("_", "-"): values for name, values in changes.items()}


def without(flag: str) -> dict[str, tuple[str, ...] | None]:
    return {name: values for name, values in FLAGS.items() if name != flag}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ()),
        (("-c", "4096", "--jinja"), (("-c", "4096"), ("--jinja",))),
        (("--temp", "-0.5", "-ngl", "-1"), (("--temp", "-0.5"), ("-ngl", "-1"))),
        (("model.gguf", "-x"), (("model.gguf",), ("-x",))),
        (("--a", "1", "2", "-"), (("--a", "1", "2"), ("-",))),
        (("--x=-1", "-.5"), (("--x=-1", "-.5"),)),
    ],
)
def test_flags_are_told_from_values(words: tuple[str, ...], found: tuple[tuple[str, ...], ...]) -> None:
    assert arguments.groups(words) == found


def test_a_parser_that_takes_what_was_promised_passes() -> None:
    image = running_image(good_server())
    verdict = arguments.check(image)
    assert verdict.findings == ()
    assert verdict.detail == {
        "accepted": [
            "--model /ingot/model/tiny.mini -ngl 99 --spec-type draft-mini --temp -0.5 --jinja",
            "--flash-attn on",
            "--ctx-size 4096",
        ],
        "refused": ["--spec-type no-such-type", "--no-such-flag"],
    }
    assert {spec.args[-1] for spec in asked(image).specs} == {"--version"}
    assert {spec.network for spec in asked(image).specs} == {"none"}


def test_a_promised_flag_that_is_gone_is_named_and_nothing_else() -> None:
    verdict = arguments.check(running_image(good_server(takes=without("--jinja"))))
    assert verdict.findings == ("the promised `--jinja` is refused: error: invalid argument: --jinja",)


def test_a_promised_value_that_is_gone_is_named() -> None:
    verdict = arguments.check(running_image(good_server(takes=takes(spec_type=("none",)))))
    said = "error: unknown value for --spec-type: draft-mini"
    assert verdict.findings == (f"the promised `--spec-type draft-mini` is refused: {said}",)


def test_two_that_are_gone_are_both_named() -> None:
    verdict = arguments.check(running_image(good_server(takes=without("--temp") | {"--flash-attn": ()})))
    assert verdict.findings == (
        "the promised `--temp -0.5` is refused: error: invalid argument: --temp",
        "the promised `--flash-attn on` is refused: error: invalid argument: on",
    )


def test_flags_that_are_refused_only_together() -> None:
    class Together(Server):
        def refusal(self, args: tuple[str, ...]) -> str:
            return "error: these exclude each other" if len(args) > 4 else super().refusal(args)

    server = Together(takes=FLAGS)
    verdict = arguments.check(running_image(server))
    words = "--model /ingot/model/tiny.mini -ngl 99 --spec-type draft-mini --temp -0.5 --jinja"
    assert verdict.findings == (f"the promised `{words}` is refused: error: these exclude each other",)


def test_a_parser_that_does_not_look_at_values() -> None:
    verdict = arguments.check(running_image(good_server(takes=takes(spec_type=None))))
    assert verdict.findings == (
        "`--spec-type no-such-type` should be refused and is accepted: the parser does not look at it",
    )


def test_the_parsers_words_are_found_between_others() -> None:
    class Wordy(Server):
        def refusal(self, args: tuple[str, ...]) -> str:
            refused = super().refusal(args)
            usage = "usage:\n--jinja    use it\n\nto show complete usage, run with -h"
            return refused and f"0.1 E ggml_cuda_init: failed\n{refused}\nsee the manual\n\n{usage}"

    verdict = arguments.check(running_image(Wordy(takes=without("--jinja"))))
    said = "error: invalid argument: --jinja\nsee the manual"
    assert verdict.findings == (f"the promised `--jinja` is refused: {said}",)


def test_a_refusal_without_the_word_is_cited_from_its_end() -> None:
    class Mute(Server):
        def refusal(self, args: tuple[str, ...]) -> str:
            return super().refusal(args) and "1\n2\n3\nno"

    verdict = arguments.check(running_image(Mute(takes=without("--jinja"))))
    assert verdict.findings == ("the promised `--jinja` is refused: 2\n3\nno",)


def test_no_promise_is_no_finding() -> None:
    image = running_image(good_server(), serve=(), flags=(), refused=())
    assert arguments.check(image).findings == ()
    assert asked(image).specs == []


def test_a_parser_that_never_ends_is_no_parser_that_refuses() -> None:
    image = running_image(good_server(hangs=("--spec-type",)), serve=(), flags=("--spec-type none",))
    assert arguments.check(image).findings == (
        "the promised `--spec-type none` was killed after 60 s: thinking",
        "`--spec-type no-such-type` should be refused and was killed after 60 s",
    )


def test_an_interrupt_takes_the_containers_along() -> None:
    """Else leaving the pool would wait for every one of them."""

    class Interrupted(FakeEngine):
        def run_once(self, spec: ContainerSpec) -> RunResult:
            if "--jinja" in spec.args:
                raise KeyboardInterrupt
            return super().run_once(spec)

        def sweep(self, label: str) -> int:
            swept.append(label)
            return super().sweep(label)

    swept: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        arguments.check(running_image(Interrupted(good_server())))
    assert swept == ["ingot.smoke=mini-aaaa"]
