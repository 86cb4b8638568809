"""What the environment decides: where things go, which engine and registry. Parsed once; must not read a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from build.errors import BadRequest
from build.namespaces import Namespace, namespace
from build.variables import GITHUB_API

__all__ = [
    "AttestChoice",
    "BaseChoice",
    "EngineChoice",
    "GitHub",
    "Mirror",
    "Namespace",
    "PlatformChoice",
    "Settings",
    "custody_place",
    "from_env",
]

EngineChoice = Literal["auto", "host", "private"]
PlatformChoice = Literal["auto", "linux/amd64", "linux/arm64"]
BaseChoice = Literal["auto", "registry", "bootstrap"]
AttestChoice = Literal["no", "yes", "custody"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SNAPSHOT = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9.+-]+)+")
"""Of characters that apt keeps as they are in the names of its indexes."""
_OWNER_NAME = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_RESERVED = "packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Repository addresses that start with `prefix` are fetched from `replacement` instead."""

    prefix: str
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """The repository that changes are offered to."""

    api: str = GITHUB_API
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
    build_platform: PlatformChoice = "auto"
    emulate: bool = False
    """Compile even where the compiler would be emulated."""
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
        build_platform=cast("PlatformChoice", _one_of("INGOT_BUILD_PLATFORM", env, get_args(PlatformChoice))),
        emulate=_flag(env, "INGOT_EMULATE"),
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
    api = env.get("GITHUB_API_URL") or GITHUB_API
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
