"""What the server answers, compared with answers that were computed a second time."""

from typing import Any

import pytest

from build.recipe.model import SmokeModel
from build.smoke import llama
from build.smoke.minimodel import generate, greedy_tokens
from build.smoke.questions import COUNT, MANY, MANY_COUNT, PROMPT, PROMPT_LONG, question
from build.smoke.running import answers
from tests.unit.smoke.running.images import TOKENS, asked, findings, good_server, running_image

TEXT = "ttsamcwtjssityyp"
KINDS = (SmokeModel.MINI, SmokeModel.GGUF_LLAMA)
CHECKS = (answers.tokens, answers.long_prompt, answers.concurrency)


def test_the_samples_right_tokens() -> None:
    assert greedy_tokens(generate(), PROMPT, COUNT) == TOKENS


def test_the_llamas_right_text() -> None:
    """As llama.cpp af6528e6 answered, on an x86-64 CPU."""
    assert llama.letters(PROMPT, COUNT) == TEXT
    assert llama.letters(PROMPT_LONG, COUNT) == "njtftuauswefvtdy"
    assert "".join(llama.letters(prompt, MANY_COUNT) for prompt in MANY[:3]) == "etypfaayorsh"


def test_the_prompt_is_split_as_llama_cpp_does() -> None:
    assert llama.tokenize("Hi, é.") == (1, 285, 75, 267, 287, 285, 198, 172, 286)


def test_no_answer_hangs_on_the_last_bits() -> None:
    """Kernels add in any order and in 16 bits; ten times what that moved the logits of a real server."""
    asked_for = [(PROMPT, COUNT), (PROMPT_LONG, COUNT), *((prompt, MANY_COUNT) for prompt in MANY)]
    assert min(llama.margin(prompt, count) for prompt, count in asked_for) > 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_every_client_has_an_answer_of_its_own(kind: SmokeModel) -> None:
    right = [str(question(kind, prompt, MANY_COUNT).right) for prompt in MANY]
    assert len(set(right)) == len(right) == 20


def test_the_long_prompt_is_several_batches() -> None:
    assert 2 * 512 < len(llama.tokenize(PROMPT_LONG)) <= 3 * 512


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", CHECKS)
def test_a_good_server_passes(check: Any, kind: SmokeModel) -> None:
    assert findings(check, running_image(good_server(), model=kind)) == []


@pytest.mark.parametrize(
    ("kind", "said", "finding"),
    [
        (SmokeModel.MINI, {"tokens": [1]}, f"answer 2: tokens [1], right would be {TOKENS}"),
        (
            SmokeModel.MINI,
            {"error": "no such model"},
            'answer 2: no tokens in {"error": "no such model"}',
        ),
        (
            SmokeModel.GGUF_LLAMA,
            {"content": "abc"},
            f"answer 2: content 'abc', right would be '{TEXT}'",
        ),
        (
            SmokeModel.GGUF_LLAMA,
            {"error": {"code": 500}},
            'answer 2: no content in {"error": {"code": 500}}',
        ),
    ],
)
def test_a_wrong_answer(kind: SmokeModel, said: dict[str, Any], finding: str) -> None:
    right = {"tokens": TOKENS} if kind is SmokeModel.MINI else {"content": TEXT}
    image = running_image(good_server(answers=[right, said]), model=kind)
    assert findings(answers.tokens, image) == [finding]


def test_a_server_that_forgets_the_beginning_of_a_long_prompt() -> None:
    forgot = {"content": llama.letters(PROMPT_LONG[-400:], COUNT)}
    image = running_image(good_server(answers=[forgot]), model=SmokeModel.GGUF_LLAMA)
    (finding,) = findings(answers.long_prompt, image)
    assert finding == (
        f"answer after a prompt of 1499 characters: content '{forgot['content']}', right would be 'njtftuauswefvtdy'"
    )


def test_clients_that_get_each_others_answers() -> None:
    right = [{"content": llama.letters(prompt, MANY_COUNT)} for prompt in MANY]
    swapped = [right[1], right[0], *right[2:]]
    image = running_image(good_server(answers=swapped), model=SmokeModel.GGUF_LLAMA)
    assert findings(answers.concurrency, image) == [
        "client 1: content 'faay', right would be 'etyp'",
        "client 2: content 'etyp', right would be 'faay'",
    ]


def test_a_server_that_turns_clients_away() -> None:
    busy = [{"error": {"code": 503, "message": "busy"}}] * 20
    image = running_image(good_server(answers=busy), model=SmokeModel.MINI)
    found = findings(answers.concurrency, image)
    assert found[0] == 'client 1: no tokens in {"error": {"code": 503, "message": "busy"}}'
    assert found[3:] == ["and 17 more of 20"]


def test_all_clients_ask_at_once_from_beside_the_server() -> None:
    image = running_image(good_server(), model=SmokeModel.MINI)
    findings(answers.concurrency, image)
    (_, clients) = asked(image).specs
    lines = clients.args[0].splitlines()
    assert sum(line.startswith("curl ") and line.endswith(" &") for line in lines) == 20
    assert lines.index("wait") == 21
    assert clients.network == "container:c1"
