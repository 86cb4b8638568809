"""What smoke expects of an image and what it found, as types: the content of smoke.json. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from build.doors.store import canonical_json, sha256_text, to_data
from build.errors import SmokeFailed
from build.image.model import BuiltImage
from build.recipe.model import Driver, Family, SmokeEndpoint, SmokeModel
from build.recipe.naming import directory_name
from build.recipe.refs import Digest

__all__ = [
    "CHECKS_VERSION",
    "CheckResult",
    "Expectations",
    "ExpectationsId",
    "Outcome",
    "SmokeReport",
    "VerifiedImage",
    "identify",
    "objection",
]

CHECKS_VERSION: Final = 3
"""Raised when a check looks for more than it did: reports of older checks are not taken for an answer then."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the recipe promises of the image, taken from the plan: smoke never reads recipes."""

    recipe: str
    variant: str = ""
    family: Family = Family.LLAMA_CPP
    cuda: str
    """CUDA version of the toolchain, as `13.0`."""
    architectures: tuple[str, ...]
    """As CMAKE_CUDA_ARCHITECTURES takes them: `120a-real`."""
    driver: Driver
    epoch: int
    """The one SOURCE_DATE_EPOCH: no file of the image is younger."""
    own_layers: int | None = None
    """So many layers, the last ones, are made here; None: all. Those of a publisher's image are what its digest says."""
    app: str = "/app"
    """Folder of everything that the recipe built or installed."""
    entrypoint: tuple[str, ...]
    workdir: str
    user: str
    port: int
    env: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Path of each promised link, and the program it leads to."""
    labels: tuple[tuple[str, str], ...] = ()
    health: str = "/health"
    """Path that answers 200 once the server is ready."""
    version: str
    """Text that `<entrypoint> --version` prints."""
    serve: tuple[str, ...] = ()
    """The promised command line; `{model}` and `{port}` stand for a file and a port."""
    flags: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    endpoints: tuple[SmokeEndpoint, ...] = ()
    model: SmokeModel = SmokeModel.NONE
    args: tuple[str, ...] = ()
    """Arguments that the server is started with for the test."""
    sigterm_exit: int = 0
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Debian packages that the recipe asks for."""
    patches: tuple[str, ...] = ()
    """Names of the patches that the ledger in the image must tell of (family python)."""
    no_server: str = ""
    """Why the server cannot be started without a GPU."""
    required: tuple[str, ...] = ()
    """Names of the checks that must have passed before the image may be pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationsId:
    """Which expectations a report answers, and by which checks."""

    hash: str
    checks: int = CHECKS_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    name: str
    outcome: Outcome
    reason: str = ""
    """Why it failed or was skipped: one finding a line. Empty when it passed."""
    seconds: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)
    """Evidence, of JSON's own types."""

    def __post_init__(self) -> None:
        if self.outcome is not Outcome.PASSED and not self.reason.strip():
            message = f"check '{self.name}' is {self.outcome} without a reason"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """What all checks found in one image. Make it with `of`."""

    digest: Digest
    config_digest: Digest
    outcome: Outcome
    expectations: ExpectationsId
    required: tuple[str, ...]
    """Checks that had to pass; a report in which one is missing passes no image on."""
    checks: tuple[CheckResult, ...]

    def __post_init__(self) -> None:
        names = [check.name for check in self.checks]
        if not names or len(set(names)) != len(names):
            message = "a smoke report needs checks, each under its own name"
            raise ValueError(message)
        if self.outcome is not _verdict(self.checks):
            message = f"the outcome is said to be {self.outcome}, its checks say {_verdict(self.checks)}"
            raise ValueError(message)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.outcome is Outcome.FAILED)

    @classmethod
    def of(
        cls,
        built: BuiltImage,
        expect: Expectations,
        checks: tuple[CheckResult, ...],
        *,
        also: tuple[str, ...] = (),
    ) -> Self:
        """Sum up the checks of an image; `also` names checks that are required this time."""
        return cls(
            digest=built.digest,
            config_digest=built.config_digest,
            outcome=_verdict(checks),
            expectations=identify(expect),
            required=(*expect.required, *also),
            checks=checks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedImage:
    """An image with the proof that it may be pushed. There is no other way to get one than to hold the proof."""

    built: BuiltImage
    report: SmokeReport

    def __post_init__(self) -> None:
        """Refuse what is not proven. Raises SmokeFailed."""
        reason = objection(self.built, self.report)
        if reason:
            message = f"{directory_name(self.built.recipe, self.built.variant)}: {reason}"
            error = SmokeFailed(message, hint="only an image that passed its smoke checks can be pushed")
            findings = {
                one.name: one.reason.strip().splitlines()[0] for one in self.report.checks if one.reason
            }
            said = [f"{name}: {findings[name]}" for name in self.report.failed]
            error.reason = f"smoke failed: {'; '.join(said)}" if said else message
            raise error


def identify(expect: Expectations) -> ExpectationsId:
    """Name the expectations by their content."""
    return ExpectationsId(hash=sha256_text(canonical_json(to_data(expect))))


def _verdict(checks: tuple[CheckResult, ...]) -> Outcome:
    failed = any(check.outcome is Outcome.FAILED for check in checks)
    return Outcome.FAILED if failed else Outcome.PASSED


def objection(built: BuiltImage, report: SmokeReport) -> str:
    """Say why the report does not prove the image; empty when it does."""
    if (report.digest, report.config_digest) != (built.digest, built.config_digest):
        return f"the smoke report is for {report.digest}, the image is {built.digest}"
    if report.failed:
        return f"failed: {', '.join(report.failed)}"
    outcomes = {check.name: check for check in report.checks}
    for name in report.required:
        check = outcomes.get(name)
        if check is None:
            return f"the required check '{name}' did not run"
        if check.outcome is not Outcome.PASSED:
            return f"the required check '{name}' was skipped: {check.reason}"
    return ""
