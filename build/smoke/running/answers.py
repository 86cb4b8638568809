"""What the server answers: the right tokens, twice, after a long prompt, and to many clients at once."""

from typing import Final

from build.smoke.questions import COUNT, MANY, MANY_COUNT, PROMPT, PROMPT_LONG, Question, question
from build.smoke.running.session import ServerCheck, Session
from build.smoke.static.image import Verdict

__all__ = ["CHECKS", "concurrency", "long_prompt", "tokens"]

_SEPARATOR: Final = "\x1e"
_ANSWER_S: Final = 60
_SHOWN: Final = 3


def tokens(session: Session) -> Verdict:
    """Let the tiny model answer twice at temperature 0."""
    asked = question(session.image.expect.model, PROMPT, COUNT)
    faults = [asked.fault(_ask(session, asked)) for _ in range(2)]
    return Verdict(
        findings=tuple(f"answer {number}: {fault}" for number, fault in enumerate(faults, 1) if fault),
        detail={asked.field: asked.right},
    )


def long_prompt(session: Session) -> Verdict:
    """Let it answer to a prompt that goes through the model in several batches."""
    asked = question(session.image.expect.model, PROMPT_LONG, COUNT)
    fault = asked.fault(_ask(session, asked))
    return Verdict(
        findings=(f"answer after a prompt of {len(PROMPT_LONG)} characters: {fault}",) if fault else (),
        detail={"characters": len(PROMPT_LONG), asked.field: asked.right},
    )


def concurrency(session: Session) -> Verdict:
    """Ask many things at once, each from a client of its own; every client must get its own answer."""
    asked = tuple(question(session.image.expect.model, prompt, MANY_COUNT) for prompt in MANY)
    script = "\n".join(
        (
            "cd /tmp",
            *(
                f"{session.command(one.path, *_data(one), '--output', str(number), max_s=_ANSWER_S)} &"
                for number, one in enumerate(asked)
            ),
            "wait",
            *(f"cat {number}; printf '\\036'" for number in range(len(asked))),
        )
    )
    result = session.beside(script, _ANSWER_S)
    answers = result.stdout.split(_SEPARATOR)[: len(asked)]
    answers += [""] * (len(asked) - len(answers))
    faults = [
        f"client {number}: {fault}"
        for number, (one, answer) in enumerate(zip(asked, answers, strict=True), 1)
        if (fault := one.fault(answer))
    ]
    more = (f"and {len(faults) - _SHOWN} more of {len(asked)}",) if len(faults) > _SHOWN else ()
    return Verdict(findings=(*faults[:_SHOWN], *more), detail={"clients": len(asked)})


def _ask(session: Session, asked: Question) -> str:
    _, body = session.curl(asked.path, *_data(asked), max_s=_ANSWER_S)
    return body


def _data(asked: Question) -> tuple[str, ...]:
    return ("--header", "Content-Type: application/json", "--data", asked.body)


CHECKS: Final = (
    ServerCheck(
        name="tokens",
        protects="The server answers, and the answer is garbage.",
        run=tokens,
        needs_model=True,
    ),
    ServerCheck(
        name="long_prompt",
        protects="Short questions are answered, and a prompt of more than one batch is forgotten or refused.",
        run=long_prompt,
        needs_model=True,
    ),
    ServerCheck(
        name="concurrency",
        protects="One user at a time is served; several get errors, or each other's answers.",
        run=concurrency,
        needs_model=True,
    ),
)
"""In the order in which one server process goes through them."""
