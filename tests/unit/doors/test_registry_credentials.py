"""Which login docker's configuration gives for which registry."""

import base64
import json
from pathlib import Path

import pytest

from build.doors.credentials import Credentials, find_credentials
from build.errors import BadRequest, IngotError, ToolMissing, Unavailable

HUB = "https://index.docker.io/v1/"


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


ME = Credentials(username="me", password="a:b")


@pytest.mark.parametrize(
    ("registry", "auths", "expected"),
    [
        ("ghcr.io", {}, None),
        ("ghcr.io", {"ghcr.io": {}}, None),
        ("ghcr.io", {"ghcr.io": encoded("me:a:b")}, ME),
        ("ghcr.io", {"https://ghcr.io/v2/": encoded("me:a:b")}, ME),
        ("ghcr.io", {"ghcr.io.example.org": encoded("me:a:b")}, None),
        ("host:5000", {"host:5000": encoded("me:a:b"), "host": encoded("other:x")}, ME),
        ("host:5000", {"host": encoded("me:a:b")}, None),
        ("docker.io", {HUB: encoded("me:a:b")}, ME),
        ("docker.io", {"docker.io": encoded("me:a:b")}, ME),
        ("registry-1.docker.io", {HUB: encoded("me:a:b")}, ME),
        ("docker.io", {"ghcr.io": encoded("me:a:b")}, None),
        ("ghcr.io", {"ghcr.io": {"username": "me", "password": "a:b"}}, ME),
        ("ghcr.io", {"ghcr.io": {"identitytoken": "I"}}, Credentials(identity_token="I")),
        ("ghcr.io", {"ghcr.io": {"registrytoken": "R"}}, Credentials(registry_token="R")),
    ],
)
def test_logins_are_found_by_host(
    tmp_path: Path, registry: str, auths: dict[str, object], expected: Credentials | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    assert find_credentials(registry, tmp_path) == expected


def test_without_a_configuration_nobody_is_logged_in(tmp_path: Path) -> None:
    assert find_credentials("ghcr.io", tmp_path / "absent") is None


@pytest.mark.parametrize(
    "document", ["{", '{"auths": {"ghcr.io": {"auth": "s3cret!"}}}', '{"credsStore": "../s3cret"}']
)
def test_a_broken_configuration_is_named_and_not_quoted(tmp_path: Path, document: str) -> None:
    (tmp_path / "config.json").write_text(document)
    with pytest.raises(BadRequest) as caught:
        find_credentials("ghcr.io", tmp_path)
    assert caught.value.message.startswith(str(tmp_path / "config.json"))
    assert "s3cret" not in str(caught.value) + caught.value.hint


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a credential helper that knows two registries and breaks on a third."""
    script = tmp_path / "docker-credential-fake"
    script.write_text(
        """#!/bin/sh
read -r server
case "$1 $server" in
"get ghcr.io") echo '{"ServerURL":"ghcr.io","Username":"me","Secret":"a:b"}' ;;
"get https://index.docker.io/v1/") echo '{"Username":"<token>","Secret":"I"}' ;;
"get broken.example.org") echo 'the keyring says s3cret'; exit 2 ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


@pytest.mark.processes
@pytest.mark.parametrize(
    ("config", "registry", "expected"),
    [
        ({"credsStore": "fake"}, "ghcr.io", ME),
        ({"credHelpers": {"ghcr.io": "fake"}}, "ghcr.io", ME),
        ({"credHelpers": {"quay.io": "absent"}, "credsStore": "fake"}, "ghcr.io", ME),
        ({"credsStore": "fake"}, "docker.io", Credentials(identity_token="I")),
        ({"credHelpers": {HUB: "fake"}}, "docker.io", Credentials(identity_token="I")),
        ({"credsStore": "fake"}, "quay.io", None),
        ({"credsStore": "fake", "auths": {"quay.io": encoded("me:a:b")}}, "quay.io", ME),
    ],
)
def test_helpers_are_asked(
    helper: Path, config: dict[str, object], registry: str, expected: Credentials | None
) -> None:
    (helper / "config.json").write_text(json.dumps(config))
    assert find_credentials(registry, helper) == expected


@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "registry", "kind", "message"),
    [
        ("absent", "ghcr.io", ToolMissing, "cannot run docker-credential-absent: No such file or directory"),
        ("fake", "broken.example.org", Unavailable,
         "docker-credential-fake failed with status 2 when asked for the login of broken.example.org"),
    ],
)  # fmt: skip
def test_a_helper_that_fails_is_an_error(
    helper: Path, name: str, registry: str, kind: type[IngotError], message: str
) -> None:
    (helper / "config.json").write_text(json.dumps({"credsStore": name}))
    with pytest.raises(kind) as caught:
        find_credentials(registry, helper)
    assert caught.value.message == message
    assert "s3cret" not in caught.value.hint


def test_a_login_shows_nothing_of_itself() -> None:
    login = Credentials(username="me", password="p", identity_token="i", registry_token="r")
    assert repr(login) == "Credentials()"
