"""Logins for registries, as docker keeps them: config.json and the credential helpers. Reads only; shows no secret.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build.doors import process
from build.errors import BadRequest, Unavailable

__all__ = ["DOCKER_HUB", "Credentials", "find_credentials"]

DOCKER_HUB = "docker.io"

_HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
"""What docker, and people, call Docker Hub in config.json; `docker login` writes the first."""
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_S = 60.0
_ABSENT = "credentials not found"
"""What a helper prints for a registry that it has no login for; the protocol has no status of its own for it.
https://github.com/docker/docker-credential-helpers/blob/master/credentials/error.go"""
_TOKEN_USER = "<token>"  # noqa: S105  (the name that says: the secret is an identity token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A login: user and password, or one of two kinds of token."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Exchanged for access tokens (OAuth2 refresh token)."""
    registry_token: str = field(default="", repr=False)
    """Sent as it is."""

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header, without its scheme."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown."""
        shown = (self.password, self.identity_token, self.registry_token, self.basic if self.password else "")
        return tuple(text for text in shown if text)


def find_credentials(registry: str, docker_config: Path) -> Credentials | None:
    """Find the login for a registry host; None where docker has none.

    Raises:
        BadRequest: config.json cannot be understood.
        ToolMissing: it names a credential helper that is not installed.
        Unavailable: the helper failed.
    """
    path = docker_config / "config.json"
    config = _read(path)
    names = _HUB_NAMES if _host(registry) in _HUB_NAMES else (registry,)
    helpers = _mapping(config.get("credHelpers"))
    helper = next((helpers[name] for name in names if name in helpers), config.get("credsStore"))
    if helper:
        found = _ask(str(helper), names[0], path)
        if found:
            return found
    return _stored(_mapping(config.get("auths")), names, path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
    except ValueError:
        message = f"{path} is not JSON"
    # Outside of the handler: a JSON error quotes the document.
    raise BadRequest(message, hint="`docker login` writes it; DOCKER_CONFIG names its folder")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _host(name: str) -> str:
    """Reduce a key of config.json to its host; older clients wrote whole addresses."""
    return name.rpartition("://")[2].partition("/")[0]


def _stored(auths: Mapping[str, Any], names: tuple[str, ...], path: Path) -> Credentials | None:
    hosts = {_host(name) for name in names}
    keys = [name for name in names if name in auths]
    keys += [key for key in auths if key not in keys and _host(key) in hosts]
    for key in keys:
        entry = _mapping(auths[key])
        username, password = _pair(str(entry.get("auth") or ""), key, path)
        found = Credentials(
            username=username or str(entry.get("username") or ""),
            password=password or str(entry.get("password") or ""),
            identity_token=str(entry.get("identitytoken") or ""),
            registry_token=str(entry.get("registrytoken") or ""),
        )
        if found.secrets:
            return found
    return None


def _pair(auth: str, key: str, path: Path) -> tuple[str, str]:
    if not auth:
        return "", ""
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = username = password = ""
    if not colon:
        message = f"{path}: the login of {_host(key)} is not base64 of user:password"
        raise BadRequest(message, hint=f"`docker login {_host(key)}` writes it again")
    return username, password.rstrip("\0")


def _ask(helper: str, server: str, path: Path) -> Credentials | None:
    if not _HELPER.fullmatch(helper):
        message = f"{path} names a credential helper that is not a plain word"
        raise BadRequest(message, hint="credsStore and credHelpers take the part behind docker-credential-")
    program = f"docker-credential-{helper}"
    done = process.run((program, "get"), stdin=server.encode(), check=False, timeout_s=_HELPER_S)
    if done.status != 0 and _ABSENT in done.stdout:
        return None
    try:
        answer = _mapping(json.loads(done.stdout)) if done.status == 0 else {}
    except ValueError:
        answer = {}
    username, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    if done.status == 0 and not secret:
        return None
    if done.status != 0:
        # What it printed is not repeated: a helper may print anything.
        message = f"{program} failed with status {done.status} when asked for the login of {_host(server)}"
        raise Unavailable(
            message, hint=f"`docker login {_host(server)}`, or mend credsStore and credHelpers in {path}"
        )
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)
