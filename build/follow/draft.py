"""A first recipe for a fork: what is known written down, what is not named. Pure; text in, text out.

Every word that comes from upstream is fitted into a plain word, a quoted text or a comment before it is written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from build.follow.choices import Line, choose
from build.follow.survey import Option, Survey
from build.recipe.refs import Commit, is_tag
from build.recipe.words import printable

__all__ = ["Draft", "Origin", "draft", "version_of"]

_COMMENT_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which state of which repository the recipe is about."""

    name: str
    url: str
    commit: Commit
    version: str
    repository: str = ""
    """The image's name, where another recipe has an image of the recipe's name."""
    branch: str = ""
    tag: str = ""
    submodules: tuple[str, ...] = ()
    sample: bool = False
    """Of the sample fork's kind, whose own tiny model smoke can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A recipe's text, and what a person must decide before it is a good one."""

    text: str
    decisions: tuple[str, ...]


def version_of(commit: Commit, tags: tuple[str, ...]) -> str:
    """Choose upstream's name of a commit: a tag of it, the likeliest first, else its abbreviation."""
    fitting = [tag for tag in tags if is_tag(tag) and len(tag) <= 60]  # noqa: PLR2004  (the image's tag goes on)
    ranked = sorted(
        fitting,
        key=lambda tag: (re.fullmatch(r"b[0-9]+", tag) is None, re.match(r"v?[0-9]", tag) is None, tag),
    )
    return ranked[0] if ranked else str(commit[:9])


def draft(origin: Origin, found: Survey) -> Draft:
    """Write a recipe."""
    server = found.servers[0] if found.servers else "server"
    cmake = choose(origin.version, found)
    sections = (
        _head(origin, found),
        _source(origin),
        _watch(origin),
        _toolchain(found),
        _options(cmake),
        f"targets: [{server}]\n",
        _steps(found),
        _variants(cmake),
        _runtime(server, found),
        _serve(origin, found, cmake),
    )
    text = "\n".join(section for section in sections if section)
    return Draft(text=text, decisions=tuple(_decisions(origin, found, cmake)))


def _comment(text: str) -> str:
    """Fit a text from outside into one comment line."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= _COMMENT_MAX else f"{flat[: _COMMENT_MAX - 3]}..."


def _quoted(text: str) -> str:
    return "'" + printable(text).replace("'", "''") + "'"


def _head(origin: Origin, found: Survey) -> str:
    licence = found.licence or "not recognised"
    return (
        "# yaml-language-server: $schema=recipe.schema.json\n"
        f"# Begun by `nox -s new`. Licence upstream: {licence}. Lines marked DECIDE are a person's.\n"
        f"name: {origin.name}\n"
        f"title: {origin.name}, server for consumer Blackwell\n"
        "family: llama-cpp\n\n"
        "image:\n"
        "  # DECIDE: the name under the registry namespace, and the tags that charts use.\n"
        f"{_taken(origin)}"
        f"  repository: {origin.repository or origin.name}\n"
        "  tags: [latest]\n"
    )


def _taken(origin: Origin) -> str:
    renamed = origin.repository not in {"", origin.name}
    return f"  # Another recipe has the image {origin.name}.\n" if renamed else ""


def _source(origin: Origin) -> str:
    lines = [
        "source:",
        f"  repo: {origin.url}",
        f"  commit: {origin.commit}",
        *(
            ["  # DECIDE: upstream's name for it. No tag is on this commit, so it is its abbreviation."]
            if _is_unnamed(origin)
            else []
        ),
        f"  version: {_quoted(origin.version)}",
    ]
    if origin.submodules:
        lines.append(f"  # {_comment(', '.join(origin.submodules))}")
        lines.append("  submodules: true")
    return "\n".join(lines) + "\n"


def _is_unnamed(origin: Origin) -> bool:
    return origin.version == origin.commit[:9]


def _is_uncounted(line: Line) -> bool:
    return line.name.endswith("_BUILD_NUMBER") and line.value == "0"


def _watch(origin: Origin) -> str:
    if origin.branch:
        return f"watch:\n  branch: {origin.branch}\n"
    if origin.tag:
        pattern = re.sub(r"[0-9]+", "[0-9]+", re.sub(r"[^A-Za-z0-9_/-]", r"[\g<0>]", origin.tag))
        return f"watch:\n  tags: {_quoted(f'^{pattern}$')}\n"
    reason = "begun from a commit; no branch or tag was named"
    return f"watch:\n  # DECIDE: branch or tags.\n  enabled: false\n  reason: {reason}\n"


def _toolchain(found: Survey) -> str:
    driver, fix = ("linked", "stub-rpath-link") if found.links_driver else ("none", "none")
    why = (
        "A library of the project links the driver, which no build machine has."
        if found.links_driver
        else "No CMake file names the driver's library."
    )
    return (
        "toolchain:\n"
        '  cuda: "13.0"\n'
        "  # DECIDE: which GPUs, here and in variants.\n"
        "  architectures: [120a-real]\n"
        f"  driver: {driver}\n\n"
        f"# {why}\n"
        f"link_fix: {fix}\n"
    )


def _options(cmake: tuple[Line, ...]) -> str:
    if not cmake:
        return ""
    lines = ["cmake:"]
    before = ""
    for line in cmake:
        if line.why != before:
            lines.append(f"  # {_comment(line.why)}")
        before = line.why
        if _is_uncounted(line):
            lines.append(
                "  # DECIDE: the number that upstream's own builds print; the history was not asked."
            )
        reason = f", unused_ok: {line.unused_ok}" if line.unused_ok else ""
        lines.append(
            f'  {line.name}: {{value: "{line.value}"{reason}}}'
            if reason
            else f'  {line.name}: "{line.value}"'
        )
    return "\n".join(lines) + "\n"


def _steps(found: Survey) -> str:
    if not found.projects:
        return ""
    return (
        "# DECIDE: further CMake projects, which the one at the root does not add. One that is shipped is a step:\n"
        "# steps:\n"
        + "".join(f"#   - {{name: {_step_name(p)}, dir: {_comment(p)}}}\n" for p in found.projects)
    )


def _step_name(folder: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "other"


def _variants(cmake: tuple[Line, ...]) -> str:
    switch = next((line.name for line in cmake if line.name.endswith("_NO_VMM")), "")
    lines = ["variants:"]
    if switch:
        lines += ["  no-vmm:", "    driver: none", "    cmake:", f'      {switch}: "ON"']
    return "\n".join([*lines, "  sm89:", "    architectures: [89-real]"]) + "\n"


def _runtime(server: str, found: Survey) -> str:
    text = f"runtime:\n  entrypoint: [/app/{server}]\n"
    if found.host_variable:
        text += f"  env:\n    {found.host_variable}: 0.0.0.0\n"
    return text


def _serve(origin: Origin, found: Survey, cmake: tuple[Line, ...]) -> str:
    values = {line.name.rpartition("_BUILD_")[2]: line.value for line in cmake if "_BUILD_" in line.name}
    model = "mini" if origin.sample else "gguf-llama" if found.is_llama else "none"
    args = '[--model, "{model}", --port, "{port}", -ngl, "99"]' if model != "none" else '[--port, "{port}"]'
    version, build = "{version}", ""
    if "COMMIT" in values:
        version = build = values["COMMIT"]
        if model != "none" and "NUMBER" in values:
            version, build = f"version: {values['NUMBER']} ({version})", f"b{values['NUMBER']}-{build}"
    lines = [
        "# DECIDE: the command line that charts rely on, word for word.",
        "serve:",
        f"  args: {args}",
        "",
        "smoke:",
        f'  version: "{version}"',
        *([f"  model: {model}"] if model != "none" else []),
        f"  args: {args}",
        "  refused: [--no-such-flag]",
    ]
    if build and model != "none":
        lines += ["  endpoints:", "    - path: /props", f'      expect: "{build}"']
    lines += ["", "# DECIDE: what users must know before they run it.", "# notes:", '#   - "..."']
    return "\n".join(lines) + "\n"


def _decisions(origin: Origin, found: Survey, cmake: tuple[Line, ...]) -> Iterator[str]:
    yield "image: the repository's name and the moving tags that charts use"
    yield "serve.args: the command line that charts rely on, word for word; smoke.flags: what else is promised"
    if _is_unnamed(origin):
        yield f"source.version: no tag is on this commit, so it is its abbreviation, {origin.version}"
    if any(map(_is_uncounted, cmake)):
        yield "cmake: the build number is 0, since the history is not asked; upstream's own builds print another"
    if not origin.branch and not origin.tag:
        yield "watch: which branch or tags are followed"
    yield from _about_tree(found)
    if not origin.sample and not found.is_llama:
        yield "smoke.model: not laid out as llama.cpp, so no model is tried; family llama-cpp may not fit at all"
    yield "toolchain.architectures and variants: which GPUs; notes: what users must know"


def _about_tree(found: Survey) -> Iterator[str]:
    if not found.has_project:
        yield "family: there is no CMakeLists.txt at the root, where the template configures"
    if not found.servers:
        yield "targets, runtime.entrypoint: no executable says server in its name"
    elif len(found.servers) > 1 and found.servers[0] != "llama-server":
        yield f"targets, runtime.entrypoint: one of {', '.join(found.servers)}"
    if found.projects:
        yield f"steps: is any of the further CMake projects shipped: {', '.join(map(_comment, found.projects))}?"
    if not any(re.fullmatch(r"[A-Z0-9]+_CUDA", option.name) for option in found.options):
        near = _named(found.options, "CUDA")
        yield f"cmake: which option turns CUDA on{f' ({near})' if near else ''}; configure fails without a kernel"
    yield from _about_running(found)


def _about_running(found: Survey) -> Iterator[str]:
    if not found.links_driver:
        yield "toolchain.driver: no CMake file names the driver's library; smoke tells whether that is so"
    if not found.host_variable:
        yield "runtime.env or serve.args: how the server is told to listen on 0.0.0.0"
    if not found.licence:
        yield "licence: none was recognised; may the image be published?"


def _named(options: tuple[Option, ...], word: str) -> str:
    return ", ".join([option.name for option in options if word in option.name][:5])
