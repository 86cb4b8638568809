"""The server: starts, becomes healthy, answers, ends on SIGTERM. One process, several checks."""

from typing import Final

from build.errors import WorkFailed
from build.smoke.running import answers, resources
from build.smoke.running.session import ServerCheck, Session
from build.smoke.running.words import fate, tail
from build.smoke.static.image import Verdict

__all__ = ["CHECKS", "FELL_BACK", "ON_GPU", "endpoints", "health", "sigterm"]

_HEALTH_S = 60
_ROUND_S = 5
_STOP_S = 10.0
FELL_BACK: Final = ("no usable GPU found", "failed to initialize CUDA", "the GPU cannot run this model")
"""What llama.cpp and its forks log when they go on with the CPU; to a client they look well."""


def health(session: Session) -> Verdict:
    """Wait until /health answers 200."""
    path = session.image.expect.health
    try:
        status, body = _wait(session)
    except WorkFailed:
        # The server ended before it answered: there is no network namespace to join any more.
        result = session.container.wait(_STOP_S)
        if result.timed_out:  # it was something else
            raise
        said = f"the server {fate(result)} before {path} answered 200; its last lines:"
        return Verdict(findings=(f"{said}\n{tail(session.container.logs())}",))
    if status == 0:
        session.healthy = True
        return Verdict(findings=(), detail={"body": tail(body, 3)})
    said = f"{path} did not answer 200 within {_HEALTH_S} s; the server's last lines:"
    return Verdict(findings=(f"{said}\n{tail(session.container.logs())}",))


def _wait(session: Session) -> tuple[int, str]:
    """Ask in rounds: the start of each fails once the server has ended, so nobody waits for a dead one."""
    until = session.image.clock() + _HEALTH_S
    rounds = ("--retry", str(_ROUND_S), "--retry-delay", "1", "--retry-max-time", str(_ROUND_S))
    rest = ("--retry-connrefused", "--retry-all-errors")
    status, body = -1, ""
    for _ in range(_HEALTH_S // _ROUND_S):
        status, body = session.curl(session.image.expect.health, "--fail", *rounds, *rest)
        if status == 0 or session.image.clock() >= until:
            break
    return status, body


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
    *answers.CHECKS,
    ServerCheck(
        name="sigterm",
        protects="Pods take thirty seconds to stop and lose what they were answering.",
        run=sigterm,
    ),
    ServerCheck(
        name="resources",
        protects=resources.PROTECTS,
        run=resources.check,
        needs_health=False,
    ),
)
"""In the order in which one server process goes through them."""

ON_GPU: Final = ServerCheck(
    name="on GPU",
    protects="The server starts on a host with a GPU and computes on the CPU.",
    run=on_gpu,
)
"""Asked last, where the others are run on a GPU."""
