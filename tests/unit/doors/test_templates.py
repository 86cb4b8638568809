import json
import shlex
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.doors.templates import render, render_html, render_markdown


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    (folder / "shell").write_text("{{ value | shell }}")
    (folder / "env").write_text("ENV A={{ value | dockerfile }}\n")
    (folder / "json").write_text("CMD {{ value | json }}\n")
    (folder / "blocks").write_text("{% if value %}\nyes {{ value }}\n{% endif %}\nend\n")
    return folder


def test_a_name_that_is_not_given_is_an_error(templates: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'value' is undefined"):
        render(templates, "blocks")


def test_blocks_leave_no_blank_lines(templates: Path) -> None:
    assert render(templates, "blocks", value="<&>") == "yes <&>\nend\n"


@given(value=st.text())
def test_shell_text_is_one_word(templates: Path, value: str) -> None:
    assert shlex.split(render(templates, "shell", value=value)) == [value]


@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_variable_is_one_line_or_refused(templates: Path, value: str) -> None:
    if set(value) & set('"\\$\n'):
        with pytest.raises(ValueError, match="cannot stand in a Dockerfile's ENV"):
            render(templates, "env", value=value)
    else:
        assert render(templates, "env", value=value) == f'ENV A="{value}"\n'


@given(value=st.lists(st.text(), max_size=3))
def test_a_list_is_json_on_one_line(templates: Path, value: list[str]) -> None:
    text = render(templates, "json", value=value)
    assert text.count("\n") == 1
    assert json.loads(text.removeprefix("CMD ")) == value


def test_a_web_page_escapes_what_it_is_given(templates: Path) -> None:
    (templates / "html").write_text('<p title="{{ value }}">{{ value }}</p>\n')
    shown = "&lt;b&gt; &amp; &#34;x&#34; \ufffd"
    assert render_html(templates, "html", value='<b> & "x" \x1b') == f'<p title="{shown}">{shown}</p>\n'


def test_a_markdown_page_escapes_what_no_filter_made_code(templates: Path) -> None:
    (templates / "md").write_text("- {{ value }} {{ value | code }} {{ 3 }}\n")
    assert (
        render_markdown(templates, "md", value="*a* <b>\x1b")
        == "- \\*a\\* &lt;b&gt;\ufffd `*a* <b>\ufffd` 3\n"
    )


@pytest.mark.parametrize("render_page", [render_html, render_markdown])
def test_a_page_too_needs_every_name(templates: Path, render_page: Callable[..., str]) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'value' is undefined"):
        render_page(templates, "blocks")
