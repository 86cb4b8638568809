"""The private engine's own bridge and its way out. Chains and bridges of other engines are never touched.

dockerd is run with `iptables: false`, because two daemons that manage iptables share the chains DOCKER and
DOCKER-ISOLATION-*, and each empties them when it starts. So the three rules that a build needs are set here.
"""

import ipaddress
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from build.doors import process
from build.errors import Unavailable
from build.host.debian import SYSTEM_PATH

__all__ = ["Bridge", "bring_down", "bring_up", "choose_subnet", "marked_rules", "parse_routes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A bridge interface, its subnet and its packet size."""

    name: str
    subnet: ipaddress.IPv4Network
    mtu: int

    @property
    def address(self) -> str:
        """The host's end, `10.x.y.1/24`."""
        return f"{self.subnet.network_address + 1}/{self.subnet.prefixlen}"

    def rules(self) -> tuple[tuple[str, ...], ...]:
        """List the iptables rules, each as `table, chain, match...`."""
        mark = ("-m", "comment", "--comment", self.name)
        return (
            ("nat", "POSTROUTING", "-s", str(self.subnet), "!", "-o", self.name, *mark, "-j", "MASQUERADE"),
            ("filter", "FORWARD", "-i", self.name, *mark, "-j", "ACCEPT"),
            ("filter", "FORWARD", "-o", self.name, *mark, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED",
             "-j", "ACCEPT"),
        )  # fmt: skip


def parse_routes(routes_json: str) -> tuple[tuple[ipaddress.IPv4Network, ...], str]:
    """Read `ip -json -4 route show table all`: the networks in use, and the interface of the default route."""
    networks, interface = [], ""
    for route in json.loads(routes_json or "[]"):
        if route["dst"] == "default":
            interface = interface or route.get("dev", "")
            continue
        networks.append(ipaddress.IPv4Network(route["dst"], strict=False))
    return tuple(networks), interface


def choose_subnet(seed: int, used: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """Choose a /24 in 10.64.0.0/10 that overlaps nothing in use; the same seed tries in the same order."""
    taken = tuple(used)
    for step in range(256):
        number = (seed + step * 251) % (64 * 256)
        subnet = ipaddress.IPv4Network(
            ((10 << 24) | ((64 + number // 256) << 16) | ((number % 256) << 8), 24)
        )
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    message = "no free /24 in 10.64.0.0/10 for the private engine's network"
    raise Unavailable(message, hint="INGOT_ENGINE=host uses an engine of your own")


def bring_up(name: str, seed: int) -> Bridge:
    """Make the bridge and its rules; what is already there is kept."""
    networks, interface = parse_routes(_run(("ip", "-json", "-4", "route", "show", "table", "all")).stdout)
    bridge = Bridge(
        name=name, subnet=_subnet_of(name) or choose_subnet(seed, networks), mtu=_mtu_of(interface)
    )
    hint = "the private engine needs CAP_NET_ADMIN (root on the host, or a privileged container)"
    if not _exists(name):
        _run(("ip", "link", "add", name, "type", "bridge"), hint=hint)
    if not _subnet_of(name):
        _run(("ip", "addr", "add", bridge.address, "dev", name), hint=hint)
    _run(("ip", "link", "set", name, "up"), hint=hint)
    for table, chain, *match in bridge.rules():
        there = _run(("iptables", "-w", "-t", table, "-C", chain, *match), check=False)
        if there.status != 0:
            _run(("iptables", "-w", "-t", table, "-I", chain, *match), hint=hint)
    return bridge


def bring_down(name: str) -> None:
    """Remove the bridge and its rules; nothing to do is no error."""
    for table in ("nat", "filter"):
        for rule in marked_rules(_run(("iptables", "-w", "-t", table, "-S"), check=False).stdout, name):
            _run(("iptables", "-w", "-t", table, *rule), check=False)
    if _exists(name):
        _run(("ip", "link", "delete", name, "type", "bridge"))


def marked_rules(listing: str, mark: str) -> tuple[tuple[str, ...], ...]:
    """Turn the rules of an `iptables -S` listing that carry our comment into the arguments that delete them."""
    rules = (shlex.split(line) for line in listing.splitlines() if line.startswith("-A "))
    return tuple(("-D", *rule[1:]) for rule in rules if mark in rule)


def _run(argv: tuple[str, ...], *, check: bool = True, hint: str = "") -> process.Completed:
    return process.run(argv, env={"PATH": SYSTEM_PATH}, check=check, hint=hint)


def _exists(name: str) -> bool:
    return _run(("ip", "link", "show", "dev", name), check=False).status == 0


def _subnet_of(name: str) -> ipaddress.IPv4Network | None:
    done = _run(("ip", "-json", "-4", "addr", "show", "dev", name), check=False)
    for link in json.loads(done.stdout or "[]") if done.status == 0 else []:
        for address in link.get("addr_info", []):
            return ipaddress.IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
    return None


def _mtu_of(interface: str) -> int:
    """Take the packet size of the way out: a bridge with a larger one loses TLS handshakes."""
    if not interface:
        return 1500
    links = json.loads(_run(("ip", "-json", "link", "show", "dev", interface)).stdout)
    return int(links[0]["mtu"])
