"""What a check saw, in one line: the detail of smoke.json in words. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from build.report.detail import Detail
from build.smoke.running.limits import size

__all__ = ["evidence"]

_LONGEST: Final = 400


def evidence(name: str, detail: Mapping[str, Any]) -> str:
    """Say what the check saw; a check without words of its own shows its detail as it is."""
    if not detail:
        return ""
    found = Detail.of(detail)
    said = (_WORDS[name](found) if name in _WORDS else "") or _plain(detail)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 2] + " …"


def _plain(detail: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in detail.items()
    )


def _layout(seen: Detail) -> str:
    return (
        f"{seen.number('entries'):,} entries in {seen.number('layers')} layers, {seen.number('elf_files'):,} ELF files, "
        "every digest as named"
    )


def _closure(seen: Detail) -> str:
    driver = ", ".join(seen.texts("injected")) or "nothing"
    return f"{seen.number('files'):,} ELF files loaded as the loader would; left to the driver: {driver}"


def _driver_boundary(seen: Detail) -> str:
    paths = seen.child("run_paths")
    used = sorted({paths.text(key) for key in paths.names()})
    return f"{_plural(len(paths.names()), 'file', 'files')} with a run path: {', '.join(used) or 'none'}; nothing of the driver inside"


def _link_facts(seen: Detail) -> str:
    imports = seen.child("imports")
    names = sorted({name for key in imports.names() for name in imports.texts(key)})
    calls = f"{len(names)} driver functions ({', '.join(names[:3])} …)" if names else "no driver function"
    linked = ", ".join(map(_file, seen.texts("linked"))) or "nothing"
    return f"driver: {seen.text('driver')}; linked with it: {linked}; imported: {calls}"


def _gpu_code(seen: Detail) -> str:
    libraries = seen.child("libraries")
    targets = sorted({target for _, one in libraries.items() for target in one.child("targets").names()})
    return (
        f"promised {', '.join(seen.texts('promised'))}; "
        f"found {', '.join(targets) or 'nothing'} in {_plural(len(libraries.names()), 'library', 'libraries')}"
    )


def _labels(seen: Detail) -> str:
    return f"{len(seen.child('labels').names())} labels, each as planned"


def _user(seen: Detail) -> str:
    rights = ", ".join(map(_file, seen.texts("privileged")))
    return f"runs as {seen.text('user')}" + (f"; set-uid files of the base: {rights}" if rights else "")


def _links(seen: Detail) -> str:
    links = seen.child("links")
    shown = ", ".join(f"{key} → {links.text(key)}" for key in links.names())
    return shown or "the recipe promises none"


def _residue(seen: Detail) -> str:
    return f"no trace of the build host ({_plural(seen.number('host_words'), 'word', 'words')} looked for)"


def _patches(seen: Detail) -> str:
    outcomes = [one.text("outcome") for one in seen.child("ledger").children("patches")]
    told = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    return f"{_plural(len(outcomes), 'patch', 'patches')}, each as the recipe expects: {told}" if told else ""


def _timestamps(seen: Detail) -> str:
    return f"no file younger than {seen.number('epoch')} in {len(seen.child('newest').names())} layers"


def _version(seen: Detail) -> str:
    return f"--version says: {' / '.join(seen.text('said').splitlines())}"


def _arguments(seen: Detail) -> str:
    refused = ", ".join(seen.texts("refused"))
    return f"accepted: {'; '.join(seen.texts('accepted'))}" + (
        f"; refused, as they must be: {refused}" if refused else ""
    )


def _health(seen: Detail) -> str:
    return f"answered 200: {' '.join(seen.text('body').split())}"


def _endpoints(seen: Detail) -> str:
    asked = ", ".join(f"GET {path}" for path in dict.fromkeys(seen.texts("asked")))
    return f"{asked}: every expected text is there" if asked else "the recipe names none"


def _tokens(seen: Detail) -> str:
    if tokens := seen.texts("tokens"):
        return f"the right tokens, twice: {', '.join(tokens)}"
    return f"the right text, twice: {seen.text('content')}" if seen.has("content") else ""


def _long_prompt(seen: Detail) -> str:
    return f"the right answer after a prompt of {seen.number('characters'):,} characters"


def _concurrency(seen: Detail) -> str:
    return f"{seen.number('clients')} clients at once, each with an answer of its own, all right"


def _broken_model(seen: Detail) -> str:
    ends = (f"{name}: status {one.text('exit')}" for name, one in seen.items())
    return f"ended with an error of its own ({', '.join(ends)})"


def _help(seen: Detail) -> str:
    return f"{seen.number('flags')} flags read from --help" if seen.has("flags") else ""


def _resources(seen: Detail) -> str:
    return (
        f"{size(seen.number('memory_peak'))} of memory at most ({seen.text('memory_measured')}), "
        f"{seen.number('processes_peak')} processes and threads, {size(seen.number('log_bytes'))} of log"
    )


def _sigterm(seen: Detail) -> str:
    return f"ended with status {seen.text('exit')}"


def _platform_plugin(seen: Detail) -> str:
    general = "; ".join(seen.texts("general"))
    return f"none among {_plural(seen.number('packages'), 'package', 'packages')}; general plugins: {general or 'none'}"


def _registries(seen: Detail) -> str:
    known = "; ".join(seen.texts("known"))
    return f"known: {known}" if known else "the command line names nothing that the parser would not check"


def _imports(seen: Detail) -> str:
    names = seen.texts("imported")
    return f"{_plural(len(names), 'module', 'modules')}: {', '.join(names)}"


def _toolkit(seen: Detail) -> str:
    torch = seen.text("torch")
    return f"torch {torch} is built with CUDA {seen.text('cuda')}" if torch else "no torch in the image"


def _bytecode(seen: Detail) -> str:
    return f"{seen.number('compiled'):,} compiled files, each of its source; {seen.number('sources'):,} sources compile"


_WORDS: Final[dict[str, Callable[[Detail], str]]] = {
    "layout": _layout,
    "closure": _closure,
    "driver_boundary": _driver_boundary,
    "link_facts": _link_facts,
    "gpu_code": _gpu_code,
    "labels": _labels,
    "user": _user,
    "links": _links,
    "residue": _residue,
    "patches": _patches,
    "timestamps": _timestamps,
    "version": _version,
    "arguments": _arguments,
    "health": _health,
    "endpoints": _endpoints,
    "tokens": _tokens,
    "long_prompt": _long_prompt,
    "concurrency": _concurrency,
    "broken_model": _broken_model,
    "help": _help,
    "resources": _resources,
    "sigterm": _sigterm,
    "platform_plugin": _platform_plugin,
    "registries": _registries,
    "imports": _imports,
    "toolkit": _toolkit,
    "bytecode": _bytecode,
}


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _plural(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
