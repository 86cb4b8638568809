"""The server: starts, becomes healthy, answers with the right tokens, ends on SIGTERM. One process, several checks."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from build.doors.effects import RunningContainer
from build.errors import WorkFailed
from build.recipe.model import SmokeModel
from build.smoke import minimodel
from build.smoke.running.image import RunningImage, tail
from build.smoke.static.image import Verdict

__all__ = ["CHECKS", "FELL_BACK", "ON_GPU", "ServerCheck", "Session", "session"]

_HEALTH_S = 60
_STOP_S = 10.0
_PROMPT = "The quick brown fox"
_COUNT = 16
FELL_BACK: Final = ("no usable GPU found", "failed to initialize CUDA", "the GPU cannot run this model")
"""What llama.cpp and its forks log when they go on with the CPU; to a client they look well."""


@dataclass(slots=True)
class Session:
    """A server that was started, and what was learnt of it so far."""

    image: RunningImage
    container: RunningContainer
    healthy: bool = False
    seen: dict[str, Any] = field(default_factory=dict)

    def curl(self, path: str, *options: str, timeout_s: float = 60.0) -> tuple[int, str]:
        """Ask the server from beside it. Returns curl's exit status and the body."""
        url = f"http://127.0.0.1:{self.image.expect.port}{path}"
        script = shlex.join(("curl", "-sS", "--max-time", "30", *options, url))
        result = self.image.beside(self.container.id, script, timeout_s=timeout_s)
        return result.exit_code, result.stdout if result.exit_code == 0 else result.stdout + result.stderr


@contextmanager
def session(image: RunningImage) -> Iterator[Session]:
    """Start the server with the recipe's smoke arguments; it is removed whatever happens."""
    spec = image.spec(*image.arguments(image.expect.args), timeout_s=180.0)
    with image.engine.started(spec) as container:
        yield Session(image=image, container=container)


def health(session: Session) -> Verdict:
    """Wait until /health answers 200."""
    try:
        status, body = _wait(session)
    except WorkFailed:
        # The server ended before it could be asked: there is no network namespace to join any more.
        status, body = -1, ""
    if status == 0:
        session.healthy = True
        return Verdict(findings=(), detail={"body": tail(body, 3)})
    logs = tail(session.container.logs())
    return Verdict(
        findings=(
            f"{session.image.expect.health} did not answer 200 within {_HEALTH_S} s; the server's last lines:\n{logs}",
        )
    )


def _wait(session: Session) -> tuple[int, str]:
    return session.curl(
        session.image.expect.health,
        "--fail",
        "--retry",
        str(_HEALTH_S),
        "--retry-delay",
        "1",
        "--retry-max-time",
        str(_HEALTH_S),
        "--retry-connrefused",
        "--retry-all-errors",
        timeout_s=_HEALTH_S + 30.0,
    )


def endpoints(session: Session) -> Verdict:
    """Compare what the recipe expects of each endpoint with its answer."""
    findings = []
    for endpoint in session.image.expect.endpoints:
        status, body = session.curl(endpoint.path, "--fail")
        if status != 0:
            findings.append(f"GET {endpoint.path} failed: {tail(body, 3)}")
        elif endpoint.expect not in body:
            findings.append(f"GET {endpoint.path} does not hold '{endpoint.expect}': {body[:300]}")
    return Verdict(
        findings=tuple(findings), detail={"asked": [one.path for one in session.image.expect.endpoints]}
    )


def tokens(session: Session) -> Verdict:
    """Let the tiny model answer twice at temperature 0."""
    match session.image.expect.model:
        case SmokeModel.MINI:
            return _tokens_mini(session)
        case SmokeModel.GGUF_LLAMA:
            return _tokens_gguf(session)
        case SmokeModel.NONE:
            return Verdict(findings=())


def _tokens_mini(session: Session) -> Verdict:
    """The sample's tokens are known: they are computed a second time, in Python."""
    right = minimodel.greedy_tokens(minimodel.generate(), _PROMPT, _COUNT)
    request = {"prompt": _PROMPT, "max_tokens": _COUNT, "temperature": 0}
    answers = [_post(session, "/v1/completions", request) for _ in range(2)]
    findings = [
        f"answer {number} has the tokens {answer.get('tokens', answer)}, right would be {right}"
        for number, answer in enumerate(answers, 1)
        if answer.get("tokens") != right
    ]
    return Verdict(findings=tuple(findings), detail={"tokens": right})


def _tokens_gguf(session: Session) -> Verdict:
    """A random llama's text means nothing, but it must be text, of the asked kind, and the same twice.

    The grammar keeps it to letters: unconstrained random tokens are invalid UTF-8, which llama.cpp answers with 500.
    """
    request = {
        "prompt": _PROMPT,
        "n_predict": _COUNT,
        "temperature": 0,
        "seed": 1,
        "grammar": "root ::= [a-z]+",
    }
    answers = [_post(session, "/completion", request) for _ in range(2)]
    texts = [str(answer.get("content", "")) for answer in answers]
    findings = []
    if not texts[0] or not texts[0].isalpha():
        findings.append(f"POST /completion gives no text of letters: {json.dumps(answers[0])[:300]}")
    elif texts[0] != texts[1]:
        findings.append(f"the same request at temperature 0 gives '{texts[0]}', then '{texts[1]}'")
    return Verdict(findings=tuple(findings), detail={"text": texts[0]})


def _post(session: Session, path: str, request: dict[str, Any]) -> dict[str, Any]:
    _, body = session.curl(path, "--header", "Content-Type: application/json", "--data", json.dumps(request))
    try:
        answer = json.loads(body)
    except ValueError:
        return {"error": tail(body, 3)}
    return answer if isinstance(answer, dict) else {"error": body[:300]}


def sigterm(session: Session) -> Verdict:
    """Ask the server to end, as every container runtime does."""
    session.container.signal("SIGTERM")
    result = session.container.wait(_STOP_S)
    if result.timed_out:
        return Verdict(findings=(f"the server did not end within {_STOP_S:g} s of SIGTERM",))
    wanted = session.image.expect.sigterm_exit
    if result.exit_code != wanted:
        said = tail(result.stderr or result.stdout)
        return Verdict(
            findings=(f"SIGTERM ended it with status {result.exit_code}, expected {wanted}: {said}",)
        )
    return Verdict(findings=(), detail={"exit": result.exit_code})


def on_gpu(session: Session) -> Verdict:
    """Look through the server's log for the words with which it gave the GPU up."""
    lines = session.container.logs().splitlines()
    gave_up = [line for line in lines if any(words in line for words in FELL_BACK)]
    if not gave_up:
        return Verdict(findings=())
    return Verdict(findings=(f"the server ran on the CPU: {tail(chr(10).join(gave_up), 3)}",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCheck:
    """A proof that needs the running server."""

    name: str
    protects: str
    """What would have gone wrong for the user, in one sentence."""
    run: Callable[[Session], Verdict]
    needs_health: bool = True
    needs_model: bool = False


CHECKS: Final[tuple[ServerCheck, ...]] = (
    ServerCheck(
        name="health",
        protects="The server does not come up: a missing backend, a bad default, a crash at start.",
        run=health,
        needs_health=False,
    ),
    ServerCheck(
        name="endpoints",
        protects="Clients and probes meet a 404, or a server without the patch that the tag promises.",
        run=endpoints,
    ),
    ServerCheck(
        name="tokens",
        protects="The server answers, and the answer is garbage.",
        run=tokens,
        needs_model=True,
    ),
    ServerCheck(
        name="sigterm",
        protects="Pods take thirty seconds to stop and lose what they were answering.",
        run=sigterm,
    ),
)
"""In the order in which one server process goes through them."""

ON_GPU: Final = ServerCheck(
    name="on GPU",
    protects="The server starts on a host with a GPU and computes on the CPU.",
    run=on_gpu,
)
"""Asked last, where the others are run on a GPU."""
