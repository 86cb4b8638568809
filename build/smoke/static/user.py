"""The container runs as the promised ordinary user, who can start the server and gain no rights."""

import re
from collections.abc import Iterator
from typing import Final

from build.image.tree import Entry, Kind, Rootfs, printable
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict
from build.smoke.static.program import find_program

__all__ = ["CHECK", "check"]

_NUMERIC: Final = re.compile(r"(\d+)(?::(\d+))?")
_PRIVILEGED: Final = frozenset(
    {
        "usr/bin/chage",  # codespell:ignore chage
        "usr/bin/chfn",
        "usr/bin/chsh",
        "usr/bin/expiry",
        "usr/bin/gpasswd",
        "usr/bin/mount",
        "usr/bin/newgrp",
        "usr/bin/passwd",
        "usr/bin/su",
        "usr/bin/umount",
        "usr/lib/dbus-1.0/dbus-daemon-launch-helper",
        "usr/sbin/unix_chkpwd",
    }
)
"""The setuid and setgid programs of a Debian base, where /bin is a link to /usr/bin."""
_SETID: Final = 0o6000
_HASHED: Final = re.compile(r"[$_].+|[./0-9A-Za-z]{13,}")


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Look at the configured user, the accounts, setuid files and the way to the program."""
    rights = [
        printable(entry.path)
        for entry in image.rootfs
        if entry.kind is Kind.FILE and (entry.mode & _SETID or entry.capability)
    ]
    findings = [
        *_user(image, expect),
        *_accounts(image.rootfs),
        *_rights(image.rootfs),
        *_program(image, expect),
    ]
    return Verdict(findings=tuple(findings), detail={"user": image.config.user, "privileged": rights})


CHECK: Final = StaticCheck(
    name="user",
    protects="The server runs as root, is refused by a cluster that forbids it, or cannot be started by its own user.",
    run=check,
)


def _user(image: StaticImage, expect: Expectations) -> Iterator[str]:
    user = image.config.user
    match = _NUMERIC.fullmatch(user)
    if match is None:
        yield (
            f"the image runs as '{user}', a cluster can only check a number"
            if user
            else "the image runs as root"
        )
    elif int(match[1]) == 0 or int(match[2] or 1) == 0:
        yield f"the image runs as root ({user})"
    if user != expect.user:
        yield f"the image runs as '{user}', the recipe promises '{expect.user}'"


def _accounts(rootfs: Rootfs) -> Iterator[str]:
    for path in ("etc/passwd", "etc/shadow", "etc/passwd-", "etc/shadow-"):
        entry = rootfs.resolve(f"/{path}")
        for line in entry.read_text().splitlines() if entry else ():
            name, *fields = line.split(":")
            if not fields or not fields[0]:
                yield f"/{path}: {name} needs no password"
            elif _HASHED.fullmatch(fields[0]):
                yield f"/{path}: {name} has a password"
            elif "passwd" in path and name != "root" and fields[1:2] == ["0"]:
                yield f"/{path}: {name} is a second root"


def _rights(rootfs: Rootfs) -> Iterator[str]:
    for entry in rootfs:
        if entry.kind is not Kind.FILE:
            continue
        if entry.capability:
            yield f"{printable(entry.path)} carries file capabilities"
        if entry.mode & _SETID and (
            re.sub(r"^(s?bin)/", r"usr/\1/", entry.path) not in _PRIVILEGED or entry.uid != 0
        ):
            yield f"{printable(entry.path)} is setuid or setgid ({entry.mode:04o})"


def _program(image: StaticImage, expect: Expectations) -> Iterator[str]:
    config = image.config
    if config.entrypoint != expect.entrypoint:
        yield f"the entrypoint is {list(config.entrypoint)}, the recipe promises {list(expect.entrypoint)}"
    if config.workdir != expect.workdir:
        yield f"the working directory is '{config.workdir}', the recipe promises '{expect.workdir}'"
    entry = find_program(image.rootfs, config, expect.entrypoint)
    if entry is None:
        yield f"the entrypoint {' '.join(expect.entrypoint[:1])} is not in the image"
        return
    match = _NUMERIC.fullmatch(expect.user)
    uid, gid = (int(match[1]), int(match[2] or -1)) if match else (-1, -1)
    if not _allows(entry, uid, gid):
        yield f"{printable(entry.path)} cannot be run by {expect.user} ({entry.mode:04o})"
    for folder in _parents(image.rootfs, entry.path):
        if not _allows(folder, uid, gid):
            yield f"{printable(folder.path)} cannot be entered by {expect.user} ({folder.mode:04o})"


def _allows(entry: Entry, uid: int, gid: int) -> bool:
    """Say whether the execute bit that counts for the user is set."""
    shift = 6 if entry.uid == uid else 3 if entry.gid == gid else 0
    return bool(entry.mode >> shift & 1)


def _parents(rootfs: Rootfs, path: str) -> Iterator[Entry]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        entry = rootfs.get("/".join(parts[:count]))
        if entry is not None:
            yield entry
