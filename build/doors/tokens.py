"""Proves to registries who asks: answers their challenges with docker's credentials and keeps the tokens, in memory only.

https://distribution.github.io/distribution/spec/auth/token/
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode

from build.doors.credentials import Credentials
from build.doors.web import Web, host_of
from build.errors import Unavailable, WorkFailed

__all__ = ["Authority", "Refused", "parse_challenges"]

_PART = re.compile(
    r'(?P<key>[A-Za-z_]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))|(?P<scheme>[A-Za-z]+)(?=\s|,|$)'
)
_MASK = "***"


class Refused(Unavailable):
    """A registry knows the way and does not let us pass."""

    def __init__(self, registry: str, what: str) -> None:
        super().__init__(
            f"{registry} refuses access: {what}",
            hint=f"`docker login {registry}`, with an account that may do this (DOCKER_CONFIG names where it is kept)",
        )


def parse_challenges(header: str) -> dict[str, dict[str, str]]:
    """Take a WWW-Authenticate header apart: lower-case scheme to its parameters."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for part in _PART.finditer(header):
        if part["scheme"]:
            current = found.setdefault(part["scheme"].lower(), {})
        else:
            quoted = part["quoted"]
            current[part["key"].lower()] = (
                part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            )
    return found


class Authority:
    """Authorization headers, by registry and by what they permit."""

    def __init__(self, web: Web, credentials: Callable[[str], Credentials | None]) -> None:
        self._web = web
        self._credentials = credentials
        self._known: dict[str, Credentials | None] = {}
        self._headers: dict[tuple[str, tuple[str, ...]], str] = {}
        self._secrets: set[str] = set()

    def header(self, registry: str, scopes: tuple[str, ...]) -> dict[str, str]:
        """Return the Authorization header that served last time, if any."""
        value = self._headers.get((registry, scopes))
        return {"Authorization": value} if value else {}

    def renew(self, registry: str, challenge: str, scopes: tuple[str, ...]) -> dict[str, str]:
        """Answer a challenge; an empty result says that there is no answer to it.

        The scopes are ours, not the challenge's: some registries name a placeholder there.
        """
        offered = parse_challenges(challenge)
        login = self._login(registry)
        if "bearer" in offered:
            value = "Bearer " + self._token(registry, offered["bearer"], scopes, login)
        elif "basic" in offered and login and login.username:
            value = f"Basic {login.basic}"
        else:
            return {}
        self._headers[registry, scopes] = value
        return {"Authorization": value}

    def scrub(self, text: str) -> str:
        """Mask every secret that was used so far; for texts that come from outside."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _MASK)
        return text

    def _login(self, registry: str) -> Credentials | None:
        if registry not in self._known:
            self._known[registry] = self._credentials(registry)
        login = self._known[registry]
        if login:
            self._secrets.update(login.secrets)
        return login

    def _token(
        self, registry: str, challenge: dict[str, str], scopes: tuple[str, ...], login: Credentials | None
    ) -> str:
        if login and login.registry_token:
            return login.registry_token
        realm = challenge.get("realm", "")
        host = host_of(realm)
        fields = [("service", challenge["service"])] if "service" in challenge else []
        if login and login.identity_token:
            fields += [("grant_type", "refresh_token"), ("client_id", "ingot"), ("scope", " ".join(scopes))]
            body = urlencode([*fields, ("refresh_token", login.identity_token)]).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._web.fetch("POST", realm, headers=headers, body=body)
        else:
            query = urlencode([*fields, *(("scope", scope) for scope in scopes)])
            headers = {"Authorization": f"Basic {login.basic}"} if login and login.username else {}
            answer = self._web.fetch("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers=headers)
        if answer.status != HTTPStatus.OK:
            whose = "the login that docker has for it" if login else "an anonymous request"
            raise Refused(registry, f"{host} gives no token for {whose} ({answer.status})")
        return self._taken(host, answer.body)

    def _taken(self, host: str, body: bytes) -> str:
        try:
            document = json.loads(body)
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token:
            message = f"{host} did not answer as a registry's token service does"
            raise WorkFailed(message)
        self._secrets.add(token)
        return token
