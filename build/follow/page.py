"""A bump as a page for a pull request: Markdown. Pure; what upstream wrote is shown as text, never as Markdown."""

import re
from collections.abc import Iterator, Sequence

from build.follow.bumped import Bump, Move
from build.follow.changes import Group
from build.follow.lineage import Relation
from build.follow.verdicts import PatchVerdict
from build.recipe.words import printable

__all__ = ["page"]

_LOG_MAX, _FILES_MAX, _OPTIONS_MAX, _SUBJECT_MAX = 40, 25, 40, 120
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|~@])")


def page(bump: Bump, move: Move) -> str:
    """Write the page."""
    parts = (
        _head(bump, move),
        _patches(bump),
        _look_at(bump),
        _upstream(bump),
        _options(bump),
        _arguments(bump),
        _lineage(bump),
    )
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _text(words: str) -> str:
    """Show what others wrote: no markup, no mention of a person or an issue, one line."""
    flat = " ".join(printable(words).split())
    flat = flat if len(flat) <= _SUBJECT_MAX else f"{flat[: _SUBJECT_MAX - 3]}..."
    return _ACTIVE.sub(r"\\\1", flat).replace("\\@", "&#64;").replace("\\#", "&#35;")


def _code(words: str) -> str:
    return f"`{printable(words).replace('`', chr(39))}`" if words else ""


def _table(*rows: tuple[str, ...]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if number == 0:
            yield "|" + "---|" * len(row)


def _head(bump: Bump, move: Move) -> Iterator[str]:
    yield f"# {bump.recipe}: {move.old_version} to {move.new_version}"
    yield ""
    source = f"{move.url}, {_code(move.ref)}" if move.ref else move.url
    yield f"{source}: {_code(move.old_commit)} to {_code(move.new_commit)}" + (
        f", archive {_code(move.archive)}" if move.archive else ""
    )
    if bump.drift:
        yield ""
        yield f"**{len(bump.drift)} of {len(bump.patches)} patches do not fit.** Nothing was repaired: that is a person's."
    if bump.rewritten:
        yield ""
        yield f"**History was rewritten.** {_text(bump.rewritten)}"
    elif bump.forward is False:
        yield ""
        yield "**The new commit does not build on the pinned one**: another branch, or an older state."


def _patches(bump: Bump) -> Iterator[str]:
    if not bump.patches:
        return
    yield "## Patches"
    yield ""
    yield from _table(("patch", "verdict", "hunks"), *map(_patch_row, bump.patches))
    for one in bump.patches:
        if one.said:
            yield ""
            yield f"- {_text(one.said)}. {_text(one.hint)}."
            if one.drop_when:
                yield f"- {_code(one.file)} goes when: {_text(one.drop_when)}"


def _patch_row(one: PatchVerdict) -> tuple[str, ...]:
    places = ", ".join(f"{_text(place.file)}:{place.line} {place.verdict}" for place in one.hunks)
    return _code(one.file), one.verdict if one.fits else f"**{one.verdict}**", places


def _look_at(bump: Bump) -> Iterator[str]:
    if not bump.literal_tags and not bump.mentions:
        return
    yield "## For a person to look at"
    yield ""
    for tag in bump.literal_tags:
        yield f"- the tag {_code(tag)} is written out in `image.tags`: it would move to the new pin"
    for one in bump.mentions:
        yield f"- {bump.file}:{one.line} still says {_code(one.holds)}: {_code(one.text)}"


def _upstream(bump: Bump) -> Iterator[str]:
    yield "## Upstream"
    if not bump.groups:
        yield ""
        yield "No file differs."
    for group in bump.groups:
        yield ""
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    added, removed = (sum(getattr(one, way) for one in group.files) for way in ("added", "removed"))
    name = group.name.capitalize() or "Not in the image"
    yield f"### {name}: {_count(group.commits, 'commit')}, {_count(group.files, 'file')}, +{added} -{removed}"
    if not group.name:
        return
    yield ""
    for commit in group.commits[:_LOG_MAX]:
        yield f"- {_code(commit.commit[:9])} {commit.date[:10]} {_text(commit.subject)}"
    yield from _more(len(group.commits), _LOG_MAX, "commits")
    if group.files:
        yield ""
        largest = sorted(group.files, key=lambda one: (-(one.added + one.removed), one.path))
        moved = ((f"{one.was} to {one.path}" if one.was else one.path, one) for one in largest[:_FILES_MAX])
        yield from _table(
            ("file", "+", "-"), *((_code(name), str(one.added), str(one.removed)) for name, one in moved)
        )
        yield from _more(len(group.files), _FILES_MAX, "files")


def _count(things: Sequence[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _more(there: int, shown: int, what: str) -> Iterator[str]:
    if there > shown:
        yield ""
        yield f"... and {there - shown} more {what}"


def _options(bump: Bump) -> Iterator[str]:
    if not bump.options:
        return
    yield "## CMake options"
    yield ""
    rows = (
        (
            _code(one.name),
            f"**{one.change}**" if one.said and one.change == "removed" else one.change,
            _code(one.before),
            _code(one.after),
            _code(one.said),
        )
        for one in bump.options[:_OPTIONS_MAX]
    )
    yield from _table(("option", "change", "before", "after", "the recipe says"), *rows)
    yield from _more(len(bump.options), _OPTIONS_MAX, "options")


def _arguments(bump: Bump) -> Iterator[str]:
    if not bump.arguments_added and not bump.arguments_removed:
        return
    yield "## Arguments of the server"
    yield ""
    yield "As the files name them that read the command line; smoke asks the parser itself."
    yield ""
    for what, names in (("added", bump.arguments_added), ("removed", bump.arguments_removed)):
        if names:
            yield f"- {what}: {', '.join(map(_code, names))}"
    if bump.promised_gone:
        yield f"- **promised by the recipe and not named any more**: {', '.join(map(_code, bump.promised_gone))}"


def _lineage(bump: Bump) -> Iterator[str]:
    if not bump.relations:
        return
    yield "## Descent"
    yield ""
    yield from _table(("of", "ahead", "behind", "has its commits up to"), *map(_relation, bump.relations))


def _relation(one: Relation) -> tuple[str, ...]:
    if one.unknown:
        return one.url, "", "", f"not known: {_text(one.unknown)}"
    return one.url, str(one.ahead), str(one.behind), f"{one.synced[:10]} ({_code(one.base[:9])})"
