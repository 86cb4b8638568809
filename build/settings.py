"""What the environment decides: where things go, which engine and registry. Parsed once; must not read a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from build.errors import BadRequest
from build.namespaces import Namespace, namespace

__all__ = [
    "SETTINGS",
    "AttestChoice",
    "BaseChoice",
    "EngineChoice",
    "GitHub",
    "Mirror",
    "Namespace",
    "Setting",
    "Settings",
    "custody_place",
    "from_env",
]

EngineChoice = Literal["auto", "host", "private"]
BaseChoice = Literal["auto", "registry", "bootstrap"]
AttestChoice = Literal["no", "yes", "custody"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_GITHUB_API = "https://api.github.com"
_SNAPSHOT = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9.+-]+)+")
"""Of characters that apt keeps as they are in the names of its indexes."""
_OWNER_NAME = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_RESERVED = "packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the settings table in the README."""

    name: str
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(name=name, default=default, meaning=meaning)
    for name, default, meaning in (
        ("INGOT_OUT", "out", "folder of the artifacts; relative to the repository"),
        (
            "INGOT_CACHE",
            ".cache/ingot",
            "folder of mirrors, wheels and the private engine; relative to the repository",
        ),
        ("INGOT_REGISTRY", "", "where images are pushed, host/namespace"),
        (
            "INGOT_ATTEST",
            "no",
            "what `push` attaches: no; yes: bill of materials, provenance; custody: also all it is built from",
        ),
        (
            "INGOT_GIT_MIRROR",
            "",
            "prefix=replacement pairs, parted by blanks or commas, for source repositories",
        ),
        (
            "INGOT_ENGINE",
            "auto",
            "auto: the host's engine if it can export OCI, else a private one; host; private",
        ),
        ("INGOT_ENGINE_NAME", "main", "which private engine; each name has its own socket, network and data"),
        ("INGOT_BUILDER", "", "buildx builder to build with; BUILDX_BUILDER is honoured where it is not set"),
        (
            "INGOT_LAYER_CACHE",
            "",
            "where builds look for layers that another machine made, host/namespace; trusted as the builder is",
        ),
        (
            "INGOT_LAYER_CACHE_WRITE",
            "",
            "any value but 0: builds also leave there what they made, every stage of it",
        ),
        (
            "INGOT_BASE",
            "auto",
            "auto: the base from its registry, bootstrapped if unreachable; registry; bootstrap",
        ),
        (
            "INGOT_APT_SNAPSHOT",
            "",
            "address of a Debian snapshot, .../debian/<time>: toolchain and base take their packages from there alone",
        ),
        (
            "INGOT_CUSTODY",
            "",
            "where copies of what builds start from are kept: host/namespace, or a folder (/..., ./..., ~/...)",
        ),
        (
            "INGOT_CUSTODY_FIRST",
            "",
            "any value but 0: take the copies and ask their origins only without one",
        ),
        ("DOCKER_HOST", "", "the host's engine, as the docker command understands it"),
        ("DOCKER_CONFIG", "~/.docker", "docker's configuration, with the credentials for push"),
        ("GITHUB_TOKEN", "", "lets a run open pull requests; a workflow hands it over"),
        ("GITHUB_REPOSITORY", "", "owner/name where they are opened; GitHub Actions sets it"),
        ("GITHUB_API_URL", _GITHUB_API, "GitHub's API; GitHub Actions sets it"),
        ("NO_COLOR", "", "any value: no colours"),
        ("FORCE_COLOR", "", "any value: colours without a terminal too"),
    )
)
"""Every variable that a user may set, in the order of the README."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Repository addresses that start with `prefix` are fetched from `replacement` instead."""

    prefix: str
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """The repository that changes are offered to."""

    api: str = _GITHUB_API
    repository: str = ""
    """`owner/name`."""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment's decisions, in types."""

    root: Path
    out: Path
    cache: Path
    home: Path
    path: str
    """PATH, to put an engine's programs in front of it."""
    runtime_dir: str = ""
    """XDG_RUNTIME_DIR, for sockets where /run is not ours to write."""
    temp_dir: str = "/tmp"  # noqa: S108  (the convention; TMPDIR wins)
    registry: Namespace | None = None
    attest: AttestChoice = "no"
    git_mirrors: tuple[Mirror, ...] = ()
    builder: str = ""
    layer_cache: Namespace | None = None
    layer_cache_write: bool = False
    engine: EngineChoice = "auto"
    engine_name: str = "main"
    base: BaseChoice = "auto"
    apt_snapshot: str = ""
    """Address of a Debian snapshot, without a slash at its end."""
    custody: Namespace | Path | None = None
    """A registry's namespace, or the folder of an OCI layout."""
    custody_first: bool = False
    docker_host: str = ""
    docker_config: Path
    docker_tls: tuple[tuple[str, str], ...] = ()
    """DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, where DOCKER_HOST is a TCP address."""
    color: bool | None = None
    """None: the terminal decides."""
    ci: bool = False
    github: bool = False
    """Runs as a GitHub Actions job: fold groups are understood."""
    step_summary: Path | None = None
    pull_requests: GitHub = field(default_factory=GitHub)


def from_env(env: Mapping[str, str], root: Path) -> Settings:
    """Read the settings out of an environment. `root` is the repository.

    Raises:
        BadRequest: a value cannot be understood; the message names the variable.
    """
    home = Path(env.get("HOME") or "/")
    summary = env.get("GITHUB_STEP_SUMMARY", "")
    return Settings(
        root=root,
        out=_folder(env.get("INGOT_OUT", ""), root / "out", root=root, home=home),
        cache=_folder(env.get("INGOT_CACHE", ""), root / ".cache" / "ingot", root=root, home=home),
        home=home,
        path=env.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        runtime_dir=env.get("XDG_RUNTIME_DIR", ""),
        temp_dir=env.get("TMPDIR") or "/tmp",  # noqa: S108
        registry=namespace("INGOT_REGISTRY", env.get("INGOT_REGISTRY", "").strip()),
        attest=cast("AttestChoice", _one_of("INGOT_ATTEST", env, get_args(AttestChoice))),
        git_mirrors=_mirrors(env.get("INGOT_GIT_MIRROR", "")),
        builder=env.get("INGOT_BUILDER") or env.get("BUILDX_BUILDER") or "",
        layer_cache=_layer_cache(env),
        layer_cache_write=_flag(env, "INGOT_LAYER_CACHE_WRITE"),
        engine=cast("EngineChoice", _one_of("INGOT_ENGINE", env, get_args(EngineChoice))),
        engine_name=_engine_name(env.get("INGOT_ENGINE_NAME") or "main"),
        apt_snapshot=_snapshot(env.get("INGOT_APT_SNAPSHOT", "").strip().rstrip("/")),
        custody=custody_place(env.get("INGOT_CUSTODY", "").strip(), root=root, home=home),
        custody_first=_flag(env, "INGOT_CUSTODY_FIRST"),
        base=cast("BaseChoice", _one_of("INGOT_BASE", env, get_args(BaseChoice))),
        docker_host=env.get("DOCKER_HOST", ""),
        docker_config=_folder(env.get("DOCKER_CONFIG", ""), home / ".docker", root=root, home=home),
        docker_tls=tuple(
            (name, env[name]) for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH") if env.get(name)
        ),
        color=_color(env),
        ci=_flag(env, "CI"),
        github=_flag(env, "GITHUB_ACTIONS"),
        step_summary=Path(summary) if summary else None,
        pull_requests=_github(env),
    )


def _folder(text: str, default: Path, *, root: Path, home: Path) -> Path:
    if not text:
        return default
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return root / text


def _github(env: Mapping[str, str]) -> GitHub:
    repository = env.get("GITHUB_REPOSITORY", "")
    if repository and not _OWNER_NAME.fullmatch(repository):
        message = f"GITHUB_REPOSITORY is '{repository}'"
        raise BadRequest(message, hint="owner/name, as in GITHUB_REPOSITORY=your-name/ingot")
    api = env.get("GITHUB_API_URL") or _GITHUB_API
    return GitHub(api=api, repository=repository, token=env.get("GITHUB_TOKEN", "").strip())


def custody_place(text: str, *, root: Path, home: Path) -> Namespace | Path | None:
    """Read where copies are kept. What begins like a path is a folder; anything else is a registry's namespace."""
    if text.startswith(("/", "./", "../", "~/")):
        return _folder(text, root, root=root, home=home)
    return namespace("INGOT_CUSTODY", text)


def _layer_cache(env: Mapping[str, str]) -> Namespace | None:
    place = namespace("INGOT_LAYER_CACHE", env.get("INGOT_LAYER_CACHE", "").strip())
    if place is None and _flag(env, "INGOT_LAYER_CACHE_WRITE"):
        message = "INGOT_LAYER_CACHE_WRITE is set, and INGOT_LAYER_CACHE is not"
        raise BadRequest(message, hint="INGOT_LAYER_CACHE=registry.example.org/namespace says where")
    return place


def _snapshot(text: str) -> str:
    if text and not (_SNAPSHOT.fullmatch(text) and re.search(r"/debian(?:/|$)", text)):
        message = f"INGOT_APT_SNAPSHOT is '{text}'"
        hint = "http(s), without login, `debian` where security has `debian-security`"
        raise BadRequest(message, hint=f"{hint}: http://snapshot.example.org/archive/debian/20261101T000000Z")
    return text


def _mirrors(text: str) -> tuple[Mirror, ...]:
    mirrors = []
    for pair in re.split(r"[\s,]+", text.strip()):
        if not pair:
            continue
        prefix, equals, replacement = pair.partition("=")
        if not (prefix and equals and replacement):
            message = f"INGOT_GIT_MIRROR has '{pair}', which is not prefix=replacement"
            raise BadRequest(message, hint="INGOT_GIT_MIRROR='https://github.com/=/srv/git/'")
        mirrors.append(Mirror(prefix=prefix, replacement=replacement))
    return tuple(mirrors)


def _one_of(name: str, env: Mapping[str, str], known: tuple[str, ...]) -> str:
    value = env.get(name) or known[0]
    if value not in known:
        message = f"{name} is '{value}'"
        raise BadRequest(message, hint=f"one of {', '.join(known)}")
    return value


def _engine_name(text: str) -> str:
    if not _NAME.fullmatch(text) or text == _RESERVED:
        message = f"INGOT_ENGINE_NAME is '{text}'"
        hint = f"lower-case letters, digits and dashes, at most 32, not '{_RESERVED}'"
        raise BadRequest(message, hint=hint)
    return text


def _color(env: Mapping[str, str]) -> bool | None:
    """Decide as no-color.org and force-color.org say: any non-empty value counts."""
    if env.get("NO_COLOR"):
        return False
    return True if env.get("FORCE_COLOR") else None


def _flag(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() not in {"", "0", "false"}
