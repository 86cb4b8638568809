"""Text from upstream in every place of the page: it must stay text, in HTML and in Markdown."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt

from build.pin.model import PatchProof
from build.recipe.model import Patch
from build.report.difference import Area, Change, Difference, Kind
from build.report.page import Page
from build.report.write import as_html, as_markdown, as_verdict
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import BUILT, HISTORY, LAYERS, PLAN, RECEIPT, page, report

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "# heading\n## another\n\n- list\n\n```\nfence\n```",
    "a | b | c",
    "`` ` ``` `` `",
    "<!-- --> <![CDATA[ x ]]>",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "\u202e\u2066gnp.exe",
    "\ud800\x00\x85",
    'https://evil.example/"><script>alert(1)</script>',
)
TAME = "tame"


def everywhere(text: str) -> Page:
    """Put one text wherever an upstream, a log or a registry decides what stands there."""
    library = {"targets": {f"SASS {text}": {"entries": text}}, "identity": text}
    tree = {"path": f"/app/{text}", "needs": {text: {"path": f"/app/x{text}"}, f"{text}.so": {"path": text}}}
    details: dict[str, dict[str, Any]] = {
        "layout": {"largest": [{"path": text, "bytes": 5, "layer": 1}]},
        "closure": {"tree": tree, "others": [tree], "injected": [text]},
        "gpu_code": {"promised": [f"{text}-"], "libraries": {text: library}, "vendor": {text: [text]}},
        "version": {"said": text},
        "arguments": {"accepted": [text], "refused": [text]},
    }
    passed = (CheckResult(name=name, outcome=Outcome.PASSED, detail=one) for name, one in details.items())
    recipe = replace(
        PLAN.recipe, title=text, notes=(text,), source=replace(PLAN.recipe.source, version=text),
        patches=(Patch(file=text, why=text, upstream=text, drop_when=text),),
    )  # fmt: skip
    proof = PatchProof(file=text, sha256=text, verdict=text, touches=(text,))
    source = replace(PLAN.pin.source, url=text, commit=text, committed_at=text, patches=(proof,))
    labels = (("org.opencontainers.image.source", text), ("ingot.driver.minimum", text), (text, text))
    change = Change(area=Area.FLAGS, name=text, kind=Kind.CHANGED, before=text, after=text)
    return page(
        plan=replace(PLAN, recipe=recipe, tag=text, labels=labels, pin=replace(PLAN.pin, source=source)),
        built=replace(
            BUILT,
            platform=text,
            engine={text: text},
            layers=tuple(replace(layer, what=text) for layer in LAYERS),
        ),
        report=report(
            *passed,
            CheckResult(name="health", outcome=Outcome.FAILED, reason=f"the last lines:\n{text}\n{text}"),
            CheckResult(name="user", outcome=Outcome.FAILED, reason=f"runs as {' '.join(text.split())}"),
            CheckResult(name="tokens", outcome=Outcome.SKIPPED, reason=f"not today: {text}"),
        ),
        receipt=replace(RECEIPT, refs={text: BUILT.digest}),
        difference=Difference(left=text, right=text, changes=(change,), same=(text,), unknown=(text,)),
        history=(replace(HISTORY[0], tag=text, seconds={f"x{text}": 1.0}), HISTORY[1]),
    )


class Tags(HTMLParser):
    """Writes down what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, frozenset[str]]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value or "" for name, value in attrs if name == "href"]
        else:
            self.found.append((tag, frozenset(name for name, _ in attrs) - {"class"}))


def shape(text: str) -> list[str]:
    """List what a Markdown parser makes of a page, all but plain text, lines and code."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    whole = [child for token in tokens for child in (token.children or [token])]
    plain = {"text", "text_special", "code_inline", "softbreak", "inline"}
    return [token.type for token in whole if token.type not in plain]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_web_page_keeps_its_shape(text: str) -> None:
    hostile, tame = Tags(as_html(everywhere(text))), Tags(as_html(everywhere(TAME)))
    assert sorted(set(hostile.found) - set(tame.found), key=str) == []
    # `wide` for a long fact is a class; one `div` or `li` more or less would be a wrong page.
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in tame.found]
    assert [link for link in hostile.links if not link.startswith(("#", "https://"))] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_markdown_page_keeps_its_shape(text: str) -> None:
    for render in (as_markdown, as_verdict):
        assert shape(render(everywhere(text))) == shape(render(everywhere(TAME)))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_can_be_written_and_shows_what_is_hidden(text: str) -> None:
    for render in (as_markdown, as_verdict, as_html):
        whole = render(everywhere(text))
        whole.encode()
        assert not {"\x1b", "\x00", "\x85", "\u202e", "\u2066"} & set(whole)


def test_a_template_is_never_run_on_foreign_text() -> None:
    assert "{{ 7 * 7 }}" in as_html(everywhere("{{ 7 * 7 }}"))
    assert "{{ 7 \\* 7 }}" in as_markdown(everywhere("{{ 7 * 7 }}"))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    whole = as_html(page())
    assert "<script" not in whole
    assert "default-src 'none'; style-src 'unsafe-inline'" in whole
    assert {tag for tag, _ in Tags(whole).found} & {"link", "img", "iframe", "object", "script"} == set()
    assert "url(" not in whole
    assert "@import" not in whole
