"""The server: starts, becomes healthy, answers, ends on SIGTERM. One process, several checks."""

from typing import Final

from build.errors import WorkFailed
from build.smoke.running import answers, resources
from build.smoke.running.session import ServerCheck, Session
from build.smoke.running.words import fate, tail
from build.smoke.static.image import Verdict

__all__ = ["CHECKS", "ON_GPU", "endpoints", "gave_up", "health", "sigterm"]

_HEALTH_S = 60
_STOP_S = 10.0
_FELL_BACK: Final = ("no usable GPU found", "failed to initialize CUDA", "the GPU cannot run this model")
"""What llama.cpp and its forks log when they go on with the CPU; to a client they look well."""


def health(session: Session) -> Verdict:
    """Wait until /health answers 200."""
    path = session.image.expect.health
    try:
        result = session.await_health(_HEALTH_S)
    except WorkFailed:
        # The server ended before it answered: there is no network namespace to join any more.
        result = session.container.wait(_STOP_S)
        if result.timed_out:  # it was something else
            raise
        said = f"the server {fate(result)} before {path} answered 200; its last lines:"
        return Verdict(findings=(f"{said}\n{tail(session.container.logs())}",))
    if result.exit_code == 0:
        session.healthy = True
        return Verdict(findings=(), detail={"body": tail(result.stdout, 3)})
    said = f"{path} did not answer 200 within {_HEALTH_S} s; the server's last lines:"
    return Verdict(findings=(f"{said}\n{tail(session.container.logs())}",))


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
    said = gave_up(session.container.logs())
    return Verdict(findings=(f"the server ran on the CPU: {said}",) if said else ())


def gave_up(log: str) -> str:
    """Return the last lines in which a server says that it goes on without the GPU; empty where it does not."""
    return tail("\n".join(line for line in log.splitlines() if any(words in line for words in _FELL_BACK)), 3)


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
