import json
from ipaddress import IPv4Network

import pytest

from build.errors import Unavailable
from build.host.network import Bridge, choose_subnet, marked_rules, parse_routes

ROUTES = json.dumps(
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.96.156.0/24", "dev": "ingot-1"},
        {"type": "local", "dst": "127.0.0.1", "dev": "lo"},
    ]
)


def test_routes() -> None:
    assert parse_routes(ROUTES) == ((IPv4Network("10.96.156.0/24"), IPv4Network("127.0.0.1/32")), "eth0")
    assert parse_routes("") == ((), "")


def test_the_same_seed_chooses_the_same_subnet_and_avoids_what_is_used() -> None:
    first = choose_subnet(0xE55C609C, ())
    assert first == choose_subnet(0xE55C609C, ())
    assert first.subnet_of(IPv4Network("10.64.0.0/10"))
    second = choose_subnet(0xE55C609C, (first,))
    assert second != first
    assert second.subnet_of(IPv4Network("10.64.0.0/10"))


def test_a_full_range_is_an_error() -> None:
    with pytest.raises(
        Unavailable, match=r"^no free /24 in 10\.64\.0\.0/10 for the private engine's network$"
    ):
        choose_subnet(1, (IPv4Network("10.0.0.0/8"),))


def test_rules_name_only_our_bridge() -> None:
    bridge = Bridge(name="ingot-ab", subnet=IPv4Network("10.64.1.0/24"), mtu=1400)
    assert bridge.address == "10.64.1.1/24"
    for rule in bridge.rules():
        assert "ingot-ab" in rule
        assert rule[1] in {"POSTROUTING", "FORWARD"}


def test_only_marked_rules_are_deleted() -> None:
    listing = (
        "-P FORWARD DROP\n"
        "-A FORWARD -i docker0 -j ACCEPT\n"
        '-A FORWARD -i ingot-ab -m comment --comment "ingot-ab" -j ACCEPT\n'
        "-A FORWARD -i ingot-abc -m comment --comment ingot-abc -j ACCEPT\n"
    )
    assert marked_rules(listing, "ingot-ab") == (
        ("-D", "FORWARD", "-i", "ingot-ab", "-m", "comment", "--comment", "ingot-ab", "-j", "ACCEPT"),
    )
