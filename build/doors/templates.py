"""Text from templates: Dockerfiles, and the pages that people read. The one importer of jinja2; a name that is not given is an error."""

import json
import shlex
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import jinja2

from build.doors.markup import clean, code, code_cell, fence, markdown

__all__ = ["render", "render_html", "render_markdown"]


def _json_list(value: Iterable[str]) -> str:
    return json.dumps(list(value))


def _dockerfile(value: str) -> str:
    """Quote a value for ENV. Decoding has refused quotes, backslashes and dollars; this is the second belt."""
    if any(character in value for character in '"\\$\n'):
        message = f"{value!r} cannot stand in a Dockerfile's ENV"
        raise ValueError(message)
    return f'"{value}"'


def _environment(
    templates: Path, *, autoescape: bool, finalize: Callable[[object], object] | None = None
) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,  # noqa: S701  (Dockerfiles are no HTML; pages in Markdown have `finalize`)
        finalize=finalize,
    )


def render(templates: Path, name: str, **values: object) -> str:
    """Render a template of the folder `templates`. Raises jinja2.UndefinedError for a name that is not among `values`."""
    environment = _environment(templates, autoescape=False)  # text for docker, not HTML
    environment.filters |= {"shell": shlex.quote, "dockerfile": _dockerfile, "json": _json_list}
    return environment.get_template(name).render(**values)


def render_html(templates: Path, name: str, **values: object) -> str:
    """Render a template of a web page: every value is escaped, none can bring a tag or a script."""
    return clean(_html(templates).get_template(name).render(**values))


def render_markdown(templates: Path, name: str, **values: object) -> str:
    """Render a template of a Markdown page: every value is escaped, unless a filter made it code."""
    return clean(_markdown(templates).get_template(name).render(**values))


@cache
def _html(templates: Path) -> jinja2.Environment:
    return _environment(templates, autoescape=True)


@cache
def _markdown(templates: Path) -> jinja2.Environment:
    environment = _environment(templates, autoescape=False, finalize=markdown)
    environment.filters |= {"code": code, "code_cell": code_cell, "fence": fence}
    return environment
