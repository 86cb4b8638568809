"""What text may stand in which field, how a value is shown in a message, which word was meant. Pure.

Recipes end up in Dockerfiles, shell lines, labels and Markdown. Renderers quote; these rules see to it that there is
nothing to quote, so that a forgotten quote is ugly and not an injection.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = [
    "ARGUMENT",
    "NAME",
    "Finding",
    "meant",
    "names",
    "nearest",
    "path_findings",
    "plain",
    "printable",
    "probe",
    "prose",
    "quoted",
    "repeated",
    "shown",
    "title",
    "url",
    "within",
]

ARGUMENT = "A-Za-z0-9_./:,=+@%-"
"""Characters of one command line word, as inside a regular expression's brackets."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""A recipe's, a variant's or a step's name."""

_SHOWN = 60
_NEAR = 0.65
"""How alike two words are when one is taken for a slip of the other."""
_WORD_MAX = 200
_PROSE_MAX = 1000
_JINJA = ("{{", "{%", "{#")
_HTML = re.compile(r"<[A-Za-z/!?]")
_DIRECTIVE = re.compile(r"\s*(syntax|escape|check)\s*=", re.IGNORECASE)
"""How a comment begins that a Dockerfile's parser obeys."""
_EXPANSION = re.compile(r"\$[A-Za-z_({]")
_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+(:[0-9]{1,5})?"
)
_URL_EXAMPLE = "https://github.com/owner/project.git"
_NOT_HTTPS = (
    ("-", "looks like an option of git", f"write a URL, as in {_URL_EXAMPLE}"),
    (r"[a-z0-9+.-]*::", "asks git to run a helper program", "only https:// is fetched"),
    (
        r"file:|/|\.",
        "is a path on one machine",
        "only https:// is fetched; INGOT_GIT_MIRROR points it to a local copy",
    ),
    (r"(?!https:)[a-z][a-z0-9+.-]*://", "is not fetched over https", "only https:// is fetched"),
    ("[^/]+@[^/]+:", "is an ssh address", f"write the https URL, as in {_URL_EXAMPLE}"),
    ("(?!https://)", "is not an https URL", f"as in {_URL_EXAMPLE}"),
)
"""How other ways to name a repository begin, and what is said of them."""


class Finding(NamedTuple):
    """A problem before its file and line are known."""

    key: str
    message: str
    hint: str = ""


def printable(text: str) -> str:
    """Escape what a terminal or a log must not be given."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(text: str) -> str:
    """Cut a text that came from outside to a length and to characters that may be printed."""
    return printable(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def quoted(text: str) -> str:
    """Show a value in a message."""
    return f"'{shown(text)}'"


def names(words: Iterable[str]) -> str:
    """List words in a message."""
    return ", ".join(words)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that `word` is most likely a misspelling of, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower()[:_WORD_MAX], by_lower, n=1, cutoff=_NEAR)
    return by_lower[near[0]] if near else ""


def meant(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else ""


def repeated(key: str, words: Iterable[str]) -> Iterator[Finding]:
    """Find the words of a list that are there twice."""
    seen: set[str] = set()
    for index, word in enumerate(words):
        if word in seen:
            yield Finding(f"{key}.{index}", f"{quoted(word)} is listed twice", "name it once")
        seen.add(word)


def within(key: str, text: str, limit: int = _WORD_MAX) -> Iterator[Finding]:
    """Find text that is longer than its field has room for."""
    if len(text) > limit:
        yield Finding(key, f"is {len(text)} characters long", f"at most {limit}")


def plain(
    key: str, text: str, *, allowed: str = ARGUMENT, also: str = "", whole: str = ""
) -> Iterator[Finding]:
    """Find characters that no plain word has.

    `also` says in the hint what else may stand there; `whole` is what was written, when `text` is a part of it.
    """
    yield from within(key, text)
    strange = re.search(f"[^{allowed}]", text)
    if strange:
        characters = " ".join(allowed.replace("A-Za-z0-9", ""))
        message = f"{quoted(whole or text)} holds {quoted(strange[0])}, which no plain word has"
        yield Finding(key, message, f"use letters, digits {characters}{also}")


def _banned(text: str, marks: tuple[str, ...]) -> str:
    strange = next((c for c in text if not c.isprintable()), "")
    found = (mark for mark in (*_JINJA, *marks) if mark in text)
    return strange or next(found, "")


def title(key: str, text: str) -> Iterator[Finding]:
    """Find what may not stand in a line that becomes a label, a heading and a comment of the Dockerfile."""
    yield from within(key, text)
    directive = _DIRECTIVE.match(text)
    if directive:
        message = (
            f"begins with {quoted(directive[0].strip())}, which a Dockerfile's parser would obey in a comment"
        )
        yield Finding(key, message, "begin with another word")
    mark = _banned(text, ('"', "`", "$", "\\", ";", "|", "&", "<", ">"))
    if mark:
        yield Finding(key, f"holds {quoted(mark)}, which a label or a shell would act on", "leave it out")


def prose(key: str, text: str) -> Iterator[Finding]:
    """Find what may not stand in a remark: it is shown in Markdown and labels, never run, so most things may."""
    yield from within(key, text, _PROSE_MAX)
    active = _EXPANSION.search(text) or _HTML.search(text)
    mark = _banned(text, ('"', "`", "\\")) or (active[0] if active else "")
    if mark:
        hint = "write it in words, or between single quotes where it was quoted"
        yield Finding(key, f"holds {quoted(mark)}, which a label, a shell or a page would act on", hint)


def probe(key: str, text: str, *, backslash: bool = False) -> Iterator[Finding]:
    """Find what may not stand in a text that is only compared: an answer's part, or (with `backslash`) a pattern."""
    yield from within(key, text)
    active = None if backslash else _EXPANSION.search(text)
    mark = _banned(text, ("`", "$(", "${") if backslash else ("`", "\\")) or (active[0] if active else "")
    if mark:
        yield Finding(key, f"holds {quoted(mark)}, which a template or a shell would act on", "leave it out")


def path_findings(key: str, text: str, *, absolute: bool) -> Iterator[Finding]:
    """Find what keeps a text from being a plain, normalised path of the wanted sort."""
    yield from plain(key, text, allowed="A-Za-z0-9_./+@-")
    parts = text.removeprefix("/").split("/") if text != "/" else []
    if absolute and not text.startswith("/"):
        yield Finding(key, f"{quoted(text)} is not an absolute path", f"write '/{shown(text)}'")
    elif not absolute and text.startswith("/"):
        yield Finding(key, f"{quoted(text)} is an absolute path", "write it without the leading /")
    elif ".." in parts:
        yield Finding(key, f"{quoted(text)} leads out of its folder", "write it without '..'")
    elif "" in parts or ("." in parts and text != "."):
        hint = "write it without '.', '//' and a last '/'"
        yield Finding(key, f"{quoted(text)} is not in its shortest form", hint)
    elif text.startswith("-"):
        yield Finding(key, f"{quoted(text)} looks like an option", "a path does not begin with '-'")


def _url_fault(text: str) -> tuple[str, str]:
    """Return what is wrong with the front of a URL, and the mend."""
    if text.lower().startswith("https://") and not text.startswith("https://"):
        return "has its scheme in capitals", "write https:// in lower case"
    for pattern, fault, hint in _NOT_HTTPS:
        if re.match(pattern, text, re.IGNORECASE):
            return fault, hint
    return "", ""


def url(key: str, text: str, *, link: bool = False) -> Iterator[Finding]:
    """Find what keeps a text from being an https URL without credentials. A `link` may also have ? and #."""
    host, slash, path = text[len("https://") :].partition("/")
    fault, hint = _url_fault(text)
    if not fault:
        fault, hint = _https_fault(host, slash + path, link=link)
    if fault:
        shown_url = quoted(re.sub(r"//[^/]*@", "//***@", text))
        yield Finding(key, f"{shown_url} {fault}", hint)
    yield from within(key, text)


def _https_fault(host: str, path: str, *, link: bool) -> tuple[str, str]:
    if "@" in host:
        return "holds credentials", "leave them out; git asks its own credential helper"
    if not _HOST.fullmatch(host):
        return "names no host", f"as in {_URL_EXAMPLE}"
    if not link and ("?" in path or "#" in path):
        return "has a query or a fragment", "leave out everything from the '?' or '#' on"
    if not re.fullmatch(r"(/[A-Za-z0-9._~+@%=?#-]*)+", path) or path == "/":
        return "is not a plain URL of a project", f"as in {_URL_EXAMPLE}"
    if "//" in path or "/../" in f"{path}/" or "/./" in f"{path}/":
        return "has a path that is not in its shortest form", "write it without '.', '..' and '//'"
    return "", ""
