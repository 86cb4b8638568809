"""Debian root file systems as images: from the registry by digest, or bootstrapped where no registry can be reached."""

import os
from dataclasses import dataclass
from pathlib import Path

from build.doors import process
from build.doors.bakefile import EPOCH
from build.errors import ToolMissing
from build.host.debian import Archive

__all__ = [
    "SNAPSHOT_OPTIONS",
    "DebianPackage",
    "bootstrap",
    "bootstrap_command",
    "foreign",
    "installed",
    "lists_check",
    "packages_in",
    "sources",
]

_LEAN = tuple(
    f"--dpkgopt=path-{rule}"
    for rule in (
        "exclude=/usr/share/doc/*",
        "include=/usr/share/doc/*/copyright",
        "exclude=/usr/share/man/*",
        "exclude=/usr/share/info/*",
        "exclude=/usr/share/locale/*",
        "exclude=/usr/share/lintian/*",
    )
)

SNAPSHOT_OPTIONS = ("Acquire::Check-Valid-Until=false", "Acquire::Retries=5")
"""Options of apt: a snapshot's indexes have expired by design, and its servers are slow and often busy."""

_RESIDUE = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/hosts",
    "etc/machine-id",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "etc/apt/apt.conf.d/70debconf",
    "var/lib/apt",
    "var/cache/apt",
    "var/log",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/available",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "var/lib/systemd",
)
"""What a bootstrapped root file system carries of the host and of the packaging that made it."""


def sources(archive: Archive, suite: str) -> tuple[str, ...]:
    """Write the apt sources of a suite with its updates and security fixes. Pure."""
    signed = f" [signed-by={archive.signed_by}]" if archive.signed_by else ""
    return (
        f"deb{signed} {archive.uri} {suite} main",
        f"deb{signed} {archive.uri} {suite}-updates main",
        f"deb{signed} {archive.security} {suite}-security main",
    )


def lists_check(archive: Archive, suite: str, lists: str) -> str:
    """Write the shell that fails where an index in the folder `lists` came from elsewhere, or one of the three did not come.

    apt names an index after its address: without the scheme, with `_` for `/`.
    """
    parts = [uri.partition("://")[2].replace("/", "_") + "_dists_" for uri in (archive.uri, archive.security)]
    wanted = (f"{parts[0]}{suite}_", f"{parts[0]}{suite}-updates_", f"{parts[1]}{suite}-security_")
    return (
        f"for file in {lists}/*; do name=${{file##*/}}; case $name in "
        f"lock|partial|auxfiles|{'|'.join(f'{one}*' for one in wanted)}) ;; "
        '*) echo "ingot: apt took $name, which is not of the snapshot" >&2; exit 1 ;; esac; done; '
        + "; ".join(
            f"ls {lists}/{one}*InRelease >/dev/null || "
            f"{{ echo 'ingot: the snapshot gave no index {one}' >&2; exit 1; }}"
            for one in wanted
        )
    )


def foreign(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the architectures that packages name beside the image's own, as in `libc6-dev:amd64`. Pure."""
    return tuple(sorted({name.partition(":")[2] for name in packages} - {""}))


def bootstrap_command(
    archive: Archive,
    suite: str,
    packages: tuple[str, ...],
    tar: Path,
    *,
    snapshot: bool = False,
    architecture: str = "amd64",
) -> tuple[str, ...]:
    """Write the mmdebstrap call: essential packages and the ones asked for, cleaned of the host.

    `essential` leaves apt itself out: nothing is ever installed into what comes of this. Of a `snapshot` the signatures
    are checked and the dates, long past, are not.
    """
    remove = " ".join(f'"$1/{path}"' for path in _RESIDUE)
    checks = (lists_check(archive, suite, '"$1"/var/lib/apt/lists'),) if snapshot else ()
    hooks = (
        *checks,
        f"rm -rf {remove}",
        'mkdir -p "$1/var/log" "$1/var/cache"',
        # A user to run as, so that `whoami` and home directories work in the finished image.
        'echo "app:x:10001:10001:app:/app:/usr/sbin/nologin" >> "$1/etc/passwd"; echo "app:x:10001:" >> "$1/etc/group"',
    )
    return (
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        "--format=tar",
        "--mode=root",
        f"--architectures={','.join((architecture, *foreign(packages)))}",
        "--skip=output/dev",
        f"--include={','.join(packages)}",
        *_LEAN,
        *((f"--aptopt={option}" for option in SNAPSHOT_OPTIONS) if snapshot else ()),
        *(f"--customize-hook={hook}" for hook in hooks),
        suite,
        str(tar),
        *sources(archive, suite),
    )


def bootstrap(command: tuple[str, ...], tar: Path) -> None:
    """Write a root file system as a tar archive, by the call of `bootstrap_command`.

    Raises:
        ToolMissing: mmdebstrap is not installed, or this is not root.
        CommandFailed: it failed; its own words say why.
    """
    if os.geteuid() != 0:
        message = "bootstrapping a base needs root, and no registry with the pinned base could be reached"
        raise ToolMissing(message, hint="run as root once, or make the registry reachable")
    tar.parent.mkdir(parents=True, exist_ok=True)
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C", "TZ": "UTC"}
    process.run(
        command,
        env=environment,
        hint="install the distribution's package mmdebstrap; for an architecture that is not this machine's also "
        "arch-test, qemu-user-static and binfmt-support",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A package that dpkg has installed, in its own words."""

    name: str
    version: str
    architecture: str
    source: str
    """The source package that it was built from; with its version in parentheses where that is another."""


def packages_in(dpkg_status: str) -> tuple[DebianPackage, ...]:
    """Read the installed packages of a dpkg status file, sorted by name and version. Pure."""
    found = []
    for stanza in dpkg_status.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" ")
        )
        if fields.get("Status", "").endswith(" installed"):
            one = DebianPackage(
                name=fields["Package"],
                version=fields["Version"],
                architecture=fields.get("Architecture", ""),
                source=fields.get("Source", fields["Package"]),
            )
            found.append(one)
    return tuple(sorted(found, key=lambda one: f"{one.name}={one.version}"))


def installed(dpkg_status: str) -> tuple[str, ...]:
    """List the packages of a dpkg status file as sorted `name=version`. Pure."""
    return tuple(f"{one.name}={one.version}" for one in packages_in(dpkg_status))
