from pathlib import Path

import pytest

from build.errors import BadRequest
from build.settings import Mirror, Namespace, from_env
from build.variables import SETTINGS

ROOT = Path("/repo")


def test_defaults() -> None:
    settings = from_env({"HOME": "/home/u"}, ROOT)
    assert settings.out == Path("/repo/out")
    assert settings.cache == Path("/repo/.cache/ingot")
    assert settings.docker_config == Path("/home/u/.docker")
    assert (settings.engine, settings.engine_name, settings.base) == ("auto", "main", "auto")
    assert settings.registry is None
    assert settings.color is None
    assert not settings.ci
    assert settings.step_summary is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("/var/out", "/var/out"), ("there", "/repo/there"), ("~/out", "/home/u/out"), ("~", "/home/u")],
)
def test_folders(value: str, expected: str) -> None:
    assert from_env({"HOME": "/home/u", "INGOT_OUT": value}, ROOT).out == Path(expected)


@pytest.mark.parametrize(
    ("value", "host", "path"),
    [
        ("127.0.0.1:5000/ingot", "127.0.0.1:5000", "ingot"),
        ("localhost:5000/a/b/", "localhost:5000", "a/b"),
        ("[::1]:5000/a", "[::1]:5000", "a"),
        ("registry.example.org/team", "registry.example.org", "team"),
        ("nas:5000/team", "nas:5000", "team"),
    ],
)
def test_registry(value: str, host: str, path: str) -> None:
    found = from_env({"INGOT_REGISTRY": value}, ROOT).registry
    assert found == Namespace(host=host, path=path)
    assert str(found) == value.rstrip("/")


def test_mirrors_parted_by_blanks_and_commas() -> None:
    text = "https://a.example/=/srv/a/, https://b.example/=file:///b?x=1\n"
    assert from_env({"INGOT_GIT_MIRROR": text}, ROOT).git_mirrors == (
        Mirror(prefix="https://a.example/", replacement="/srv/a/"),
        Mirror(prefix="https://b.example/", replacement="file:///b?x=1"),
    )


def test_builder_of_our_own_wins() -> None:
    assert from_env({"BUILDX_BUILDER": "b"}, ROOT).builder == "b"
    assert from_env({"BUILDX_BUILDER": "b", "INGOT_BUILDER": "a"}, ROOT).builder == "a"


def test_the_layer_cache_is_read_and_written_only_when_asked() -> None:
    assert from_env({}, ROOT).layer_cache is None
    read = from_env({"INGOT_LAYER_CACHE": "registry.example.org/me"}, ROOT)
    assert (str(read.layer_cache), read.layer_cache_write) == ("registry.example.org/me", False)
    env = {"INGOT_LAYER_CACHE": "registry.example.org/me", "INGOT_LAYER_CACHE_WRITE": "1"}
    assert from_env(env, ROOT).layer_cache_write
    with pytest.raises(BadRequest) as caught:
        from_env({"INGOT_LAYER_CACHE_WRITE": "1"}, ROOT)
    assert caught.value.message == "INGOT_LAYER_CACHE_WRITE is set, and INGOT_LAYER_CACHE is not"
    assert caught.value.hint == "INGOT_LAYER_CACHE=registry.example.org/namespace says where"


@pytest.mark.parametrize(
    ("env", "color"),
    [({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, None), ({"FORCE_COLOR": "1"}, True),
     ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)  # fmt: skip
def test_color(env: dict[str, str], color: bool | None) -> None:  # noqa: FBT001
    assert from_env(env, ROOT).color is color


def test_ci() -> None:
    settings = from_env({"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/tmp/s.md"}, ROOT)
    assert (settings.ci, settings.github, settings.step_summary) == (True, True, Path("/tmp/s.md"))
    assert not from_env({"CI": "false"}, ROOT).ci


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("INGOT_ENGINE", "docker", "INGOT_ENGINE is 'docker'", "one of auto, host, private"),
        ("INGOT_LAYER_CACHE", "https://x.org/me", "INGOT_LAYER_CACHE is 'https://x.org/me': a registry is named without a scheme",
         "INGOT_LAYER_CACHE=x.org/me"),
        ("INGOT_BASE", "x", "INGOT_BASE is 'x'", "one of auto, registry, bootstrap"),
        ("INGOT_BUILD_PLATFORM", "arm64", "INGOT_BUILD_PLATFORM is 'arm64'", "one of auto, linux/amd64, linux/arm64"),
        ("INGOT_GIT_MIRROR", "https://x", "INGOT_GIT_MIRROR has 'https://x', which is not prefix=replacement",
         "INGOT_GIT_MIRROR='https://github.com/=/srv/git/'"),
        ("INGOT_REGISTRY", "me/images", "INGOT_REGISTRY is 'me/images': 'me' is not the name of a registry host",
         "name the host too, e.g. INGOT_REGISTRY=docker.io/your-name"),
        ("INGOT_REGISTRY", "a.example", ("INGOT_REGISTRY is 'a.example': there is no namespace of lower-case words"
         " after the host"), "INGOT_REGISTRY=a.example/your-name"),
        ("INGOT_REGISTRY", "https://a.example/x", ("INGOT_REGISTRY is 'https://a.example/x': a registry is named"
         " without a scheme"), "INGOT_REGISTRY=a.example/x"),
        ("INGOT_ENGINE_NAME", "packages", "INGOT_ENGINE_NAME is 'packages'",
         "lower-case letters, digits and dashes, at most 32, not 'packages'"),
        ("INGOT_ENGINE_NAME", "../x", "INGOT_ENGINE_NAME is '../x'",
         "lower-case letters, digits and dashes, at most 32, not 'packages'"),
    ],
)  # fmt: skip
def test_wrong_values_are_named_with_their_mend(name: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(BadRequest) as caught:
        from_env({name: value}, ROOT)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_table_has_each_variable_once() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))
    assert all(setting.meaning for setting in SETTINGS)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("registry.example.org/team", Namespace(host="registry.example.org", path="team")),
        ("/srv/custody", Path("/srv/custody")),
        ("./kept", ROOT / "kept"),
        ("~/kept", Path("/home/u/kept")),
    ],
)
def test_copies_are_kept_in_a_registry_or_a_folder(text: str, place: object) -> None:
    assert from_env({"INGOT_CUSTODY": text, "HOME": "/home/u"}, ROOT).custody == place


def test_a_place_of_copies_that_is_neither_is_refused_by_its_own_name() -> None:
    with pytest.raises(BadRequest, match=r"INGOT_CUSTODY is 'kept': .* no namespace|INGOT_CUSTODY is 'kept'"):
        from_env({"INGOT_CUSTODY": "kept"}, ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "http://snapshot.example.org/archive/debian/20261101T000000Z",
        "https://127.0.0.1:8080/20261101T000000Z/debian/",
    ],
)
def test_a_snapshot_is_an_address(text: str) -> None:
    assert from_env({"INGOT_APT_SNAPSHOT": text}, ROOT).apt_snapshot == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "snapshot.example.org/debian",
        "file:///srv/debian",
        "http://user:secret@snapshot.example.org/debian",
        "http://snapshot.example.org/ubuntu/20261101T000000Z",
        "http://snapshot.example.org/debian/$(reboot)",
        "http://snapshot.example.org/debian/a_b",
        "http://snapshot.example.org/debian'; reboot; '",
    ],
)
def test_what_is_no_address_of_a_snapshot_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="INGOT_APT_SNAPSHOT is ") as error:
        from_env({"INGOT_APT_SNAPSHOT": text}, ROOT)
    assert "debian-security" in error.value.hint
