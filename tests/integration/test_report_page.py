"""The page in a real browser: both themes, a phone and a screen. It loads nothing, complains of nothing, fits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from build.report.page import Page
from build.report.write import as_html
from tests.browser import CHROMIUM, Browser, browser
from tests.golden.test_report import FAILED
from tests.unit.report.pages import page, report
from tests.unit.report.test_hostile import HOSTILE, everywhere

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium here: apt-get install chromium")

WIDTHS = (390, 1280)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGES = {
    "passed": page(),
    "failed": page(report=report(*FAILED), receipt=None, difference=None),
    "untested": page(report=None, receipt=None),
    "hostile": everywhere(" ".join(HOSTILE)),
    "wide": everywhere("x" * 300),
}
FADED = """
[...document.querySelectorAll("body *")].filter(one => {
  const words = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!words || !one.getClientRects().length) return false;
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(
      x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = one, back = "rgba(0, 0, 0, 0)";
  while (behind && back === "rgba(0, 0, 0, 0)") { back = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
  if (back === "rgba(0, 0, 0, 0)") back = "rgb(255, 255, 255)";
  const [a, b] = [light(getComputedStyle(one).color), light(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05) < 4.5;
}).map(one => one.outerHTML.slice(0, 120))
"""
"""Words whose contrast is below what WCAG asks of small text: 4.5 to 1."""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_and_nothing_is_amiss(
    tab: Browser, tmp_path: Path, name: str, theme: Literal["light", "dark"], width: int
) -> None:
    show(tab, PAGES[name], tmp_path, theme, width)
    assert tab.complaints == []
    assert tab.value("document.documentElement.scrollWidth") == width
    assert tab.value("innerWidth") == width, "the phone zoomed out"
    assert tab.value(FADED) == []
    background = tab.value("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(14, 17, 22)"}[theme]


def show(tab: Browser, shown: Page, folder: Path, theme: Literal["light", "dark"], width: int) -> None:
    path = folder / "report.html"
    path.write_text(as_html(shown), encoding="utf-8")
    tab.open(path, width=width, theme=theme)
    tab.value("for (const one of document.querySelectorAll('details')) one.open = true")
    tab.screenshot(folder / "page.png")
    assert (folder / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_browser_would_tell(tab: Browser, tmp_path: Path) -> None:
    """The same questions, to a page on which each has a bad answer."""
    path = tmp_path / "bad.html"
    path.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'>"
        "<p style='color: #999; background: #fff'>faint</p><div style='width: 900px'>wide</div>"
        "<img src='https://evil.example/x.png'><script>console.error('no'); nowhere()</script>"
    )
    tab.open(path, width=390, theme="light")
    said = " ".join(tab.complaints)
    assert "the page asks for https://evil.example/x.png" in said
    assert "nowhere is not defined" in said
    assert tab.value("document.documentElement.scrollWidth") > 390
    assert len(tab.value(FADED)) == 1


def test_the_pages_policy_stops_what_would_run(tab: Browser, tmp_path: Path) -> None:
    text = as_html(page()).replace(
        "</main>", "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'></main>"
    )
    path = tmp_path / "attacked.html"
    path.write_text(text)
    tab.open(path, width=390, theme="light")
    assert tab.value("window.ran") is None
    assert any("Content Security Policy" in one for one in tab.complaints)
