from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from build.host.network import Bridge
from build.host.place import handle_of, place_of
from build.host.private import _configuration
from build.settings import Settings, from_env


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return from_env(
        {"HOME": str(tmp_path), "PATH": "/usr/bin", "INGOT_CACHE": str(tmp_path / ("c" * 150))}, tmp_path
    )


def test_each_name_and_each_cache_has_a_place_of_its_own(settings: Settings) -> None:
    places = [
        place_of(one)
        for one in (settings, replace(settings, engine_name="b"), replace(settings, cache=Path("/elsewhere")))
    ]
    assert len({place.run for place in places}) == 3
    assert len({place.bridge for place in places}) == 3
    assert places[0].packages == places[1].packages
    assert place_of(settings) == places[0]


def test_sockets_and_bridges_fit_the_kernel_however_long_the_cache_is_named(settings: Settings) -> None:
    place = place_of(settings)
    assert len(f"{place.run}/exec/containerd/containerd.sock.ttrpc") < 108
    assert len(place.bridge) < 16


def test_a_child_reaches_the_engine_and_nothing_of_the_users(settings: Settings) -> None:
    place = place_of(settings)
    handle = handle_of(place, settings)
    environment = dict(handle.environment)
    assert handle.docker_host == environment["DOCKER_HOST"] == f"unix://{place.socket}"
    assert environment["BUILDX_BUILDER"] == "default"
    assert environment["DOCKER_TLS_VERIFY"] == ""
    assert environment["PATH"] == f"{place.packages}/usr/sbin:{place.packages}/usr/bin:/usr/bin"
    assert environment["DOCKER_CONFIG"].startswith(str(settings.cache))


def test_a_builder_that_the_user_names_is_the_users(settings: Settings) -> None:
    handle = handle_of(place_of(settings), replace(settings, builder="farm"))
    environment = dict(handle.environment)
    assert handle.builder == environment["BUILDX_BUILDER"] == "farm"
    assert environment["BUILDX_CONFIG"] == str(settings.docker_config / "buildx")
    assert environment["DOCKER_CONFIG"].startswith(str(settings.cache)), "credentials go as they always go"


def test_the_daemon_touches_no_other_engine(settings: Settings) -> None:
    place = place_of(settings)
    bridge = Bridge(name=place.bridge, subnet=IPv4Network("10.64.1.0/24"), mtu=1400)
    said = _configuration(place, bridge)
    assert said["iptables"] is False
    assert said["bridge"] == place.bridge
    assert said["mtu"] == 1400
    assert said["features"] == {"containerd-snapshotter": True, "cdi": True}
    assert all(
        str(said[key]).startswith((str(settings.cache), str(place.run))) for key in ("data-root", "exec-root")
    )
