"""A repository's address to a first recipe: asks upstream, reads the tree, writes recipes/<name>.yaml."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import store
from build.doors.effects import Reporter
from build.doors.remote import RemoteRefs, list_files, ls_remote, read_text
from build.errors import BadRecipes, BadRequest
from build.follow.draft import Origin, draft, version_of
from build.follow.survey import Survey, is_cmake, is_licence, is_parser, survey
from build.pin.sample import ensure_sample, is_sample
from build.pin.source import Sources
from build.recipe.check import comparable, facts_of
from build.recipe.decode import read
from build.recipe.identity import name_findings
from build.recipe.model import Recipe
from build.recipe.refs import Commit
from build.recipe.rules import recipe_problems, shared_problems
from build.recipe.words import Finding, meant, quoted
from build.recipe.words import url as url_findings

__all__ = ["NewRecipe", "choose", "name_of", "new"]

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]*")
_OTHER_NAME = "choose another with --name"
_FILES_MAX = 600
"""CMake files that are read at most; llama.cpp has about 150."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecipe:
    """The recipe that was written."""

    file: str
    """Path below the repository."""
    name: str
    commit: Commit
    version: str
    decisions: tuple[str, ...]
    """What a person must decide."""


def new(
    url: str, *, ref: str = "", name: str = "", root: Path, sources: Sources, reporter: Reporter
) -> NewRecipe:
    """Write a recipe for a fork.

    Raises:
        BadRequest: URL, ref or name are wrong, or the recipe is there already, or no name for its image is free.
        Unreachable: upstream did not answer.
    """
    _must(url_findings("url", url))
    chosen = name or name_of(url)
    _must(name_findings("name", chosen))
    path = root / "recipes" / f"{chosen}.yaml"
    if path.exists() or path.is_symlink():
        message = f"recipes/{chosen}.yaml is there already"
        raise BadRequest(message, hint=_OTHER_NAME)
    others = comparable(root)
    repository = _repository(chosen, url, others)
    if ref and not _REF.fullmatch(ref):
        message = f"{quoted(ref)} is not the name of a branch or tag, nor a commit"
        raise BadRequest(message, hint="for example --ref main")
    if is_sample(url):
        ensure_sample(url, sources.samples, sources.cache)
    origin, tree = _look(url, ref, chosen, sources, reporter)
    origin = replace(origin, repository=repository)
    found = draft(origin, tree)
    store.write_text(path, found.text)
    try:
        _prove(path, root, others)
    except BadRecipes:
        path.unlink()
        raise
    file = path.relative_to(root).as_posix()
    reporter.note(f"{file}: {url} at {origin.commit} ({origin.version})")
    for decision in found.decisions:
        reporter.note(f"decide  {decision}")
    return NewRecipe(
        file=file, name=chosen, commit=origin.commit, version=origin.version, decisions=found.decisions
    )


def name_of(url: str) -> str:
    """Make a recipe's name of the last part of a URL. Pure."""
    last = url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return _word(last)


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]


def _repository(name: str, url: str, others: Sequence[Recipe]) -> str:
    """Choose a name for the image that no other recipe uses: the recipe's, else with the owner's appended."""
    named = next((other for other in others if other.name == name), None)
    if named:
        message = f"{quoted(name)} is the name of {named.origin.file} already"
        raise BadRequest(message, hint=_OTHER_NAME)
    taken = {other.image.repository: other.origin.file for other in others}
    _, *folders, _ = url.removeprefix("https://").rstrip("/").split("/")
    owner = _word(folders[-1]) if folders else ""
    free = [one for one in (name, *([f"{name}-{owner}"] if owner else [])) if one not in taken]
    if not free:
        message = f"{quoted(name)} is the image of {taken[name]} already"
        raise BadRequest(message, hint=_OTHER_NAME)
    return free[0]


def _must(findings: Iterable[Finding]) -> None:
    for finding in findings:
        message = f"{finding.key}: {finding.message}"
        raise BadRequest(message, hint=finding.hint)


def _look(url: str, ref: str, name: str, sources: Sources, reporter: Reporter) -> tuple[Origin, Survey]:
    with reporter.step(f"ask {url}"):
        refs = ls_remote(sources.mirrors, url)
    full, commit = choose(refs, ref, url)
    with reporter.step(f"fetch {url} at {commit[:12]}"):
        mirror = sources.mirrors.fetch(url, commit)
    paths = list_files(mirror, commit)
    wanted = [path for path in paths if is_cmake(path) or is_licence(path) or is_parser(path)]
    wanted.sort(key=lambda path: (path.count("/"), path))
    texts = {path: read_text(mirror, commit, path) for path in wanted[:_FILES_MAX]}
    tags = tuple(
        n.removeprefix("refs/tags/") for n, c in refs.refs if n.startswith("refs/tags/") and c == commit
    )
    branch = full.removeprefix("refs/heads/") if full.startswith("refs/heads/") else ""
    origin = Origin(
        name=name,
        url=url,
        commit=commit,
        version=version_of(commit, tags),
        branch=branch if _REF.fullmatch(branch) else "",
        tag=full.removeprefix("refs/tags/") if full.startswith("refs/tags/") else "",
        submodules=_submodules(mirror, commit, url, sources),
        sample=is_sample(url),
    )
    return origin, survey(paths, texts)


def _submodules(mirror: Path, commit: Commit, url: str, sources: Sources) -> tuple[str, ...]:
    modules = sources.mirrors.submodules(mirror, commit, base=url)
    return tuple(f"{module.path} at {module.commit[:9]} of {module.url}" for module in modules)


def choose(refs: RemoteRefs, ref: str, url: str) -> tuple[str, Commit]:
    """Return the full name and the commit of what was asked for; a commit has no name."""
    if re.fullmatch(r"[0-9a-f]{40}", ref):
        return "", Commit(ref)
    known = dict(refs.refs)
    wanted = (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if ref else (refs.head, "HEAD")
    full = next((one for one in wanted if one in known and one), "")
    if not full:
        short = [one.split("/", 2)[2] for one in known if one.startswith(("refs/heads/", "refs/tags/"))]
        message = f"{url} has no branch or tag {quoted(ref)}" if ref else f"{url} has no default branch"
        raise BadRequest(message, hint=meant(ref, short) or f"it has {', '.join(short[:10]) or 'nothing'}")
    return full, known[full]


def _prove(path: Path, root: Path, others: Sequence[Recipe]) -> None:
    """Hold the rules of `check` against what was written: a draft that does not pass is our fault, not the user's.

    It comes last among the recipes, so that what two of them share is held against it.
    """
    written = read(path, root=root)
    problems = written.problems
    if written.recipe:
        problems += recipe_problems(written.recipe, facts_of(root), unread=written.keys)
        shared = shared_problems([*others, written.recipe])
        problems += tuple(problem for problem in shared if problem.file == written.recipe.origin.file)
    if problems:
        raise BadRecipes(tuple(problems))
