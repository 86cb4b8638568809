"""Writes an image's pages from its artifacts: report.md, report.html, junit.xml, and the times of its builds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from build.doors import store
from build.doors.console import duration
from build.doors.templates import render_html, render_markdown
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt
from build.report.difference import Difference
from build.report.inside import drawn, size
from build.report.junit import junit
from build.report.page import Artifacts, Page, Standing, make_page
from build.report.times import BuildTimes, remembered
from build.settings import Namespace
from build.smoke.model import SmokeReport

__all__ = [
    "FILES",
    "TIMES",
    "Written",
    "as_html",
    "as_markdown",
    "as_verdict",
    "discard_report",
    "write_report",
]

FILES: Final = ("report.md", "report.html", "junit.xml")
TIMES: Final = "times.jsonl"
_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written about one image."""

    name: str
    standing: Standing
    digest: str
    files: tuple[str, ...]

    @property
    def page(self) -> str:
        """The one to open in a browser."""
        return self.files[1]


def discard_report(out: Path) -> None:
    """Remove the pages of an image that is about to be tested: until they are written again nothing is known."""
    for name in FILES:
        store.discard(out / name)


def write_report(  # noqa: PLR0913  (artifacts, and what only the caller knows)
    out: Path,
    plan: ImagePlan,
    built: BuiltImage,
    *,
    difference: Difference | None = None,
    namespace: Namespace | None = None,
    step_summary: Path | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Written:
    """Write the pages of the image below `out`. Who calls holds the lock of that folder.

    Args:
        out: folder of the image's artifacts.
        plan: what was to be built.
        built: what was built.
        difference: from the published image to this one; None where there is none.
        namespace: where images are pushed to.
        step_summary: a CI job's summary page; the verdict is added to it.
        clock: for the time of a build that was not reported before.
    """
    report = store.read_known(out / "smoke.json", SmokeReport)
    if report is not None and report.digest != built.digest:
        report = None
    history = remembered(store.read_lines(out / TIMES, BuildTimes), built, report, tag=plan.tag, at=clock())
    store.write_lines(out / TIMES, history)
    page = make_page(
        Artifacts(
            plan=plan,
            built=built,
            report=report,
            receipt=store.read_known(out / "push.json", PushReceipt),
            difference=difference,
            history=history,
            namespace=namespace,
        )
    )
    for name, text in zip(FILES, (as_markdown(page), as_html(page), junit(page)), strict=True):
        store.write_text(out / name, text)
    if step_summary is not None:
        store.append_text(step_summary, as_verdict(page))
    return Written(
        name=page.name,
        standing=page.standing,
        digest=page.digest,
        files=tuple(str(out / name) for name in FILES),
    )


def as_markdown(page: Page) -> str:
    """Render the whole page as Markdown. Pure."""
    return render_markdown(
        _TEMPLATES,
        "report.md.j2",
        page=page,
        facts=dict(page.facts),
        tree=drawn(page.libraries),
        size=size,
        duration=duration,
        bar=_bar,
    )


def as_verdict(page: Page) -> str:
    """Render what a CI job's summary says: the verdict, what failed, what changed. Pure."""
    return render_markdown(_TEMPLATES, "verdict.md.j2", page=page, facts=dict(page.facts), size=size)


def as_html(page: Page) -> str:
    """Render the whole page as one HTML file that loads nothing. Pure."""
    return render_html(_TEMPLATES, "report.html.j2", page=page, size=size, duration=duration)


def _bar(percent: float, width: int = 24) -> str:
    """Draw a bar of text, at least a sliver."""
    eighths = max(1, round(percent * width * 8 / 100))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()
