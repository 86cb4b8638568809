"""Foreign text in a page. A real Markdown parser says what the text has become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from build.doors.markup import Markdown, clean, code, code_cell, fence, markdown

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
CLEAN = st.text().filter(lambda text: clean(text) == text)


def kinds(text: str) -> list[str]:
    return [child.type for token in PARSER.parse(text) for child in (token.children or [token])]


def words(text: str) -> str:
    return "".join(
        child.content
        for token in PARSER.parse(text)
        for child in (token.children or ())
        if child.type == "text"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("a\r\nb\rc\td", "a\nb\ufffdc\td"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\ud800", "\ufffd"),
        ("\x85\x9b\ufffe", "\ufffd" * 3),
        ("ümläut → 漢字", "ümläut → 漢字"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "# a heading", "## two", "- a list", "+ a list", "1. a list", "12) a list", "> a quote", "*bold*", "__bold__",
        "`code`", "[a](https://example.org)", "![a](https://example.org/x.png)", "<script>alert(1)</script>",
        "<https://example.org>", "&lt;b&gt;", "~~gone~~", "a | b", "---", "===", "$x$", "\\*", "a\n\n# b", "    code",
        "<!-- a comment -->", "[x]: https://example.org",
    ],
)  # fmt: skip
def test_text_stays_text(text: str) -> None:
    assert set(kinds(markdown(text))) <= {"paragraph_open", "text", "text_special", "paragraph_close"}
    assert words(markdown(text)) == " ".join(text.split())


@given(text=CLEAN)
def test_any_text_stays_text(text: str) -> None:
    assert set(kinds(markdown(text))) <= {"paragraph_open", "text", "text_special", "paragraph_close"}


@given(text=CLEAN.filter(lambda text: bool(text.split())))
def test_any_text_can_be_code(text: str) -> None:
    (span,) = [
        child
        for token in PARSER.parse(f"a {code(text)} b")
        for child in token.children or ()
        if child.tag == "code"
    ]
    assert span.content.strip() == " ".join(text.split())


@given(text=CLEAN)
def test_a_cell_stays_one_cell(text: str) -> None:
    for how in (markdown, code_cell):
        table = f"| a | b |\n|---|---|\n| {how(text)} | end |\n"
        assert kinds(table).count("td_open") == 2


@given(text=CLEAN)
def test_a_fence_is_closed_by_its_own_end_alone(text: str) -> None:
    tokens = PARSER.parse(f"{fence(text)}\n\nend\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content.rstrip("\n") == clean(text).strip("\n").rstrip("\n")


def test_what_is_markdown_already_stays() -> None:
    assert markdown(Markdown("**bold**")) == "**bold**"
    assert code("") == ""
