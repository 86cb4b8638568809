"""Resources: what the server used, from its start to its end, against the limits of a smoke test."""

from build.doors.effects import Usage
from build.smoke.running.limits import LOG_BYTES, PROCESSES, size
from build.smoke.running.session import Session
from build.smoke.static.image import Verdict

__all__ = ["PROTECTS", "check"]

PROTECTS = "The server writes the disk full with its log, is killed for memory, or breeds processes, on a user's machine."


def check(session: Session) -> Verdict:
    """Look at the whole life of the server; it may have ended."""
    used = session.container.usage()
    memory = session.image.limits.memory
    detail = {
        "memory_peak": used.memory,
        "memory_measured": "by the kernel" if used.measured else "highest sample",
        "memory_limit": memory,
        "processes_peak": used.processes,
        "processes_limit": PROCESSES,
        "log_bytes": used.printed,
        "log_limit": LOG_BYTES,
    }
    return Verdict(findings=tuple(_findings(used, memory)), detail=detail)


def _findings(used: Usage, memory: int) -> list[str]:
    findings = []
    if used.oom_killed:
        findings.append(
            f"out of memory: the kernel killed it, or a process of it, at its limit of {size(memory)}"
        )
    elif used.memory is not None and used.memory >= memory:
        findings.append(f"it used all of the {size(memory)} of memory that it may use")
    if used.processes >= PROCESSES:
        findings.append(f"it had {used.processes} processes and threads, as many as it may have")
    if used.flooded:
        findings.append(f"it printed more than {size(LOG_BYTES)} of log and was killed")
    return findings
