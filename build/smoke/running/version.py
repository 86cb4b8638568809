"""The version: what the server says it is must be what the recipe pins."""

from build.recipe.model import Family
from build.smoke.running.image import RunningImage
from build.smoke.running.words import fate, tail
from build.smoke.static.image import Verdict

__all__ = ["check"]


def check(image: RunningImage) -> Verdict:
    """Run `<entrypoint> --version`; llama.cpp and its forks print it on stderr.

    A Python server's entrypoint names a subcommand too, which has no version of its own.
    """
    program = image.expect.entrypoint[:1] if image.expect.family is Family.PYTHON else None
    result = image.run("--version", entrypoint=program)
    said = result.stdout + result.stderr
    findings = []
    if result.exit_code != 0:
        findings.append(f"`--version` {fate(result)}: {tail(said)}")
    elif image.expect.version not in said:
        findings.append(f"`--version` does not say '{image.expect.version}', it says: {tail(said)}")
    return Verdict(findings=tuple(findings), detail={"said": tail(said)})
