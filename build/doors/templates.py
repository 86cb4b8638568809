"""Text from the templates in dockerfiles/. The one importer of jinja2; a name that is not given is an error."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path

import jinja2

__all__ = ["render"]


def _json_list(value: Iterable[str]) -> str:
    return json.dumps(list(value))


def _dockerfile(value: str) -> str:
    """Quote a value for ENV. Decoding has refused quotes, backslashes and dollars; this is the second belt."""
    if any(character in value for character in '"\\$\n'):
        message = f"{value!r} cannot stand in a Dockerfile's ENV"
        raise ValueError(message)
    return f'"{value}"'


def render(templates: Path, name: str, **values: object) -> str:
    """Render a template of the folder `templates`. Raises jinja2.UndefinedError for a name that is not among `values`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (text for docker, not HTML)
    )
    environment.filters |= {"shell": shlex.quote, "dockerfile": _dockerfile, "json": _json_list}
    return environment.get_template(name).render(**values)
