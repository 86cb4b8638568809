"""Rules about how the image runs and what it must show: runtime, serve, smoke. Pure."""

import re
from collections.abc import Iterator, Sequence

from build.recipe.model import Family, Healthcheck, Recipe, Runtime, Smoke, SmokeModel
from build.recipe.placeholders import RUN_TIME, placeholder_findings, without
from build.recipe.words import Finding, path_findings, plain, probe, prose, quoted, repeated, within

__all__ = ["env_findings", "running_findings"]

_ENV = re.compile(r"[A-Z_][A-Z0-9_]*")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DRIVER = re.compile(r"(nvidia|libnvidia|libcuda|cuda-drivers|cuda-compat)([0-9.-].*|[a-z]*[0-9.-].*)?")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_USER = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
_HTTP_PATH = "A-Za-z0-9_./~-"
_TO_THE_USER = "leave it to who runs the image"
_REFUSED_ENV = {
    "NVIDIA_DISABLE_REQUIRE": ("would hide that the host's driver is too old", _TO_THE_USER),
    "NVIDIA_DRIVER_CAPABILITIES": ("is set by the pipeline", _TO_THE_USER),
    "NVIDIA_REQUIRE_CUDA": ("is set by the pipeline", "toolchain.cuda says which driver is needed"),
    "NVIDIA_VISIBLE_DEVICES": ("is set by the pipeline", _TO_THE_USER),
    "PATH": ("is the base's own", "runtime.links lays other paths to a program"),
}
_SECRET = re.compile(
    r".*(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRETS|CREDENTIAL|CREDENTIALS|API_KEY|APIKEY|ACCESS_KEY|PRIVATE_KEY)(_.*)?"
)
"""A word that ends so, anywhere in the name. MAX_TOKENS and TOKENIZERS_PARALLELISM are none."""
_ID_MAX = 2**31 - 1
_PORT_MAX = 65535
_EXIT_MAX = 255
_DAY_S = 86400
_APP = "/app"
_LINK_HINT = "for example /usr/local/bin/llama-server"
_NOT_FOR_LINKS = frozenset(
    (
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "run",
        "sbin",
        "sys",
        "tmp",
        "var",
    )
)
"""Links to /usr in a Debian base, which a copy must not replace, and what is mounted over or written to."""
_DEBIANS = frozenset(
    ("usr", name)
    for name in ("bin", "include", "lib", "lib32", "lib64", "libexec", "libx32", "sbin", "share")
)
"""Folders whose files are Debian's."""
_FOLDERS = frozenset(
    ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/usr", "/usr/games", "/usr/local", "/usr/src")
) | {
    f"/usr/local/{name}" for name in ("bin", "etc", "games", "include", "lib", "man", "sbin", "share", "src")
}
"""Empty folders of a Debian base: links may lie in them, none may stand for one."""


def running_findings(recipe: Recipe) -> Iterator[Finding]:
    """Find what is wrong with how the recipe's image is started and tested."""
    yield from _runtime(recipe.runtime)
    yield from _arguments("serve.args", recipe.serve.args, recipe)
    yield from _smoke(recipe)


def _runtime(runtime: Runtime) -> Iterator[Finding]:
    if not runtime.entrypoint:
        yield Finding("runtime.entrypoint", "is empty", "for example [/app/llama-server]")
    for index, word in enumerate(runtime.entrypoint):
        key = f"runtime.entrypoint.{index}"
        yield from plain(key, word) if index else path_findings(key, word, absolute=True)
    yield from path_findings("runtime.workdir", runtime.workdir, absolute=True)
    yield from _between("runtime.port", runtime.port, 1, _PORT_MAX)
    yield from _user(runtime.user)
    yield from env_findings("runtime.env", runtime.env)
    yield from _packages(runtime.packages)
    yield from _links(runtime.links)
    yield from _healthcheck(runtime.healthcheck)


def _between(key: str, number: int, low: int, high: int) -> Iterator[Finding]:
    if not low <= number <= high:
        yield Finding(key, f"{number} is out of range", f"{low} to {high}")


def _user(user: str) -> Iterator[Finding]:
    match = _USER.fullmatch(user)
    if not match:
        what = "is root" if user.partition(":")[0] == "root" else "is not a numeric uid:gid"
        yield Finding("runtime.user", f"{quoted(user)} {what}", "for example 10001:10001")
    elif not all(0 < int(number) <= _ID_MAX for number in match.groups()):
        what = "is root" if 0 in map(int, match.groups()) else "is out of range"
        yield Finding("runtime.user", f"{quoted(user)} {what}", "for example 10001:10001")


def env_findings(where: str, env: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Find what may not be said in an environment."""
    for name, value in env:
        key = f"{where}.{name}"
        if not _ENV.fullmatch(name):
            yield Finding(key, f"{quoted(name)} is not the name of a variable", "capitals, digits and _")
        elif name.startswith("LD_"):
            yield Finding(key, "changes which libraries are loaded", "the image finds its own by $ORIGIN")
        elif name in _REFUSED_ENV:
            yield Finding(key, *_REFUSED_ENV[name])
        elif _SECRET.fullmatch(name):
            yield Finding(key, "looks like a secret, and an image is public", "set it where the image is run")
        yield from plain(key, value)


def _packages(packages: Sequence[str]) -> Iterator[Finding]:
    yield from repeated("runtime.packages", packages)
    if "curl" not in packages:
        message = "has no curl, with which smoke and the health check ask the server"
        yield Finding("runtime.packages", message, "add curl")
    for index, name in enumerate(packages):
        key = f"runtime.packages.{index}"
        if not _DEBIAN.fullmatch(name):
            yield Finding(key, f"{quoted(name)} is not the name of a Debian package", "for example libgomp1")
        elif _DRIVER.fullmatch(name):
            message = f"{quoted(name)} is part of the driver, which the host brings"
            yield Finding(key, message, "leave it out")


def _links(links: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    paths = [path for path, _ in links]
    for path, target in links:
        key = f"runtime.links.{path}"
        faults = list(path_findings(key, path, absolute=True))
        yield from faults
        if not faults:
            yield from _link_place(key, path, paths)
        faults = list(path_findings(key, target, absolute=True))
        yield from faults
        if not faults and not target.startswith(f"{_APP}/"):
            message = f"{quoted(target)} is not below {_APP}, where everything that is built lies"
            yield Finding(key, message, f"for example {_APP}/llama-server")


def _link_place(key: str, path: str, links: Sequence[str]) -> Iterator[Finding]:
    """Find what keeps a link from being laid where it is asked for."""
    first, *rest = path.removeprefix("/").split("/")
    if path == "/":
        yield Finding(key, "is the root folder", _LINK_HINT)
    elif f"/{first}" == _APP:
        yield Finding(key, f"lies in {_APP}, where the programs themselves are", _LINK_HINT)
    elif path in _FOLDERS or first in _NOT_FOR_LINKS or (first, *rest[:1]) in _DEBIANS:
        yield Finding(key, "is or lies in a folder of the system", _LINK_HINT)
    elif any(path.startswith(f"{other}/") for other in links):
        yield Finding(key, "lies below another link", "a link is no folder")


def _healthcheck(healthcheck: Healthcheck | None) -> Iterator[Finding]:
    if healthcheck is None:
        return
    yield from _http_path("runtime.healthcheck.path", healthcheck.path)
    yield from _between("runtime.healthcheck.start_period_s", healthcheck.start_period_s, 1, _DAY_S)
    yield from _between("runtime.healthcheck.interval_s", healthcheck.interval_s, 1, _DAY_S)


def _http_path(key: str, path: str) -> Iterator[Finding]:
    if not path.startswith("/"):
        yield Finding(key, f"{quoted(path)} is not an absolute path", "for example /health")
    yield from plain(key, path, allowed=_HTTP_PATH)


def _arguments(key: str, words: Sequence[str], recipe: Recipe) -> Iterator[Finding]:
    for index, word in enumerate(words):
        path = f"{key}.{index}"
        yield from placeholder_findings(path, word, recipe.source, run_time=RUN_TIME)
        yield from plain(path, without(word), also=" and {placeholders}", whole=word)


def _groups(key: str, groups: Sequence[str]) -> Iterator[Finding]:
    """Argument groups are words with single blanks between. They are parsed, not run: nothing is filled in."""
    yield from repeated(key, groups)
    for index, group in enumerate(groups):
        path = f"{key}.{index}"
        if group != " ".join(group.split()):
            yield Finding(
                path, f"{quoted(group)} has more blanks than one between words", "write single blanks"
            )
        if not group.startswith("-"):
            yield Finding(
                path, f"{quoted(group)} does not begin with an option", "for example '--spec-type mtp'"
            )
        yield from plain(path, group.replace(" ", ""), also=" and single blanks", whole=group)


def _smoke(recipe: Recipe) -> Iterator[Finding]:
    smoke = recipe.smoke
    yield from _text("smoke.version", smoke.version, recipe)
    yield from _groups("smoke.flags", smoke.flags)
    yield from _groups("smoke.refused", smoke.refused)
    for index, endpoint in enumerate(smoke.endpoints):
        key = f"smoke.endpoints.{index}"
        yield from _http_path(f"{key}.path", endpoint.path)
        yield from _text(f"{key}.expect", endpoint.expect, recipe)
    yield from _arguments("smoke.args", smoke.args, recipe)
    yield from _between("smoke.sigterm_exit", smoke.sigterm_exit, 0, _EXIT_MAX)
    yield from _model(smoke)
    yield from _imports(recipe)
    yield from _no_server(recipe)


def _no_server(recipe: Recipe) -> Iterator[Finding]:
    smoke = recipe.smoke
    if not smoke.no_server:
        return
    yield from prose("smoke.no_server", smoke.no_server)
    if recipe.family is not Family.PYTHON:
        message = f"says why no server is started, but that of a {recipe.family} image runs on the CPU"
        yield Finding("smoke.no_server", message, "leave it out")
    started = (("smoke.args", bool(smoke.args)), ("smoke.endpoints", bool(smoke.endpoints)))
    for key, there in (*started, ("smoke.model", smoke.model is not SmokeModel.NONE)):
        if there:
            yield Finding(
                key, "is for a server that smoke.no_server says is not started", "leave out one of them"
            )


def _text(key: str, text: str, recipe: Recipe) -> Iterator[Finding]:
    yield from within(key, text)
    yield from placeholder_findings(key, text, recipe.source)
    yield from probe(key, text)


def _model(smoke: Smoke) -> Iterator[Finding]:
    asks = any("{model}" in word for word in smoke.args)
    if asks and smoke.model is SmokeModel.NONE:
        yield Finding("smoke.args", "uses {model}, but smoke.model is none", "write smoke.model: gguf-llama")
    if smoke.args and not asks and smoke.model is not SmokeModel.NONE:
        message = f"never uses {{model}}, so smoke.model '{smoke.model}' is not loaded"
        yield Finding("smoke.args", message, "add [-m, '{model}']")


def _imports(recipe: Recipe) -> Iterator[Finding]:
    imports = recipe.smoke.imports
    yield from repeated("smoke.imports", imports)
    if imports and recipe.family is not Family.PYTHON:
        yield Finding("smoke.imports", f"a {recipe.family} image has no Python", "leave it out")
    for index, name in enumerate(imports):
        if not _MODULE.fullmatch(name):
            key = f"smoke.imports.{index}"
            yield Finding(key, f"{quoted(name)} is not the name of a module", "for example vllm.engine")
        yield from within(f"smoke.imports.{index}", name)
