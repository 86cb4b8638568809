import subprocess
from pathlib import Path

import pytest

from build.host.debian import Archive
from build.pin.debian import bootstrap_command, installed, lists_check

STATUS = """\
Package: bash
Status: install ok installed
Version: 5.2.15-2+b8
Description: GNU Bourne Again SHell
 Status: not this one: it is a description

Package: zlib1g
Status: install ok installed
Version: 1:1.2.13

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: apt
Status: install ok unpacked
Version: 2.0
"""


def test_what_is_installed_is_sorted_and_complete() -> None:
    assert installed(STATUS) == ("bash=5.2.15-2+b8", "zlib1g=1:1.2.13")


def test_an_empty_status_lists_nothing() -> None:
    assert installed("") == ()


def test_the_bootstrap_takes_the_hosts_archive_and_three_suites(tmp_path: Path) -> None:
    archive = Archive(
        uri="http://deb.example.org/debian", codename="bookworm", signed_by="/usr/share/keyrings/x.gpg"
    )
    command = bootstrap_command(archive, "bookworm", ("bash", "curl"), tmp_path / "rootfs.tar")
    assert command[0] == "mmdebstrap"
    assert "--variant=essential" in command
    assert "--include=bash,curl" in command
    assert command[-5:] == (
        "bookworm",
        str(tmp_path / "rootfs.tar"),
        "deb [signed-by=/usr/share/keyrings/x.gpg] http://deb.example.org/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/x.gpg] http://deb.example.org/debian bookworm-updates main",
        "deb [signed-by=/usr/share/keyrings/x.gpg] http://deb.example.org/debian-security bookworm-security main",
    )


def test_the_bootstrap_takes_a_second_architecture_where_a_package_names_one(tmp_path: Path) -> None:
    archive = Archive(uri="http://deb.example.org/debian", codename="bookworm", signed_by="")
    wanted = ("g++-x86-64-linux-gnu", "libstdc++-12-dev:amd64")
    command = bootstrap_command(archive, "bookworm", wanted, tmp_path / "r.tar", architecture="arm64")
    assert "--architectures=arm64,amd64" in command
    plain = bootstrap_command(archive, "bookworm", wanted[:1], tmp_path / "r.tar")
    assert "--architectures=amd64" in plain


def test_the_bootstrap_leaves_nothing_of_the_host(tmp_path: Path) -> None:
    archive = Archive(uri="http://deb.example.org/debian/", codename="bookworm", signed_by="")
    command = bootstrap_command(archive, "bookworm", ("bash",), tmp_path / "rootfs.tar")
    assert command[-1] == "deb http://deb.example.org/debian-security bookworm-security main"
    (remove,) = [word for word in command if word.startswith("--customize-hook=rm -rf")]
    for path in (
        "etc/hostname",
        "etc/resolv.conf",
        "etc/machine-id",
        "var/log",
        "var/cache/ldconfig/aux-cache",
    ):
        assert f'"$1/{path}"' in remove


MOMENT = Archive(
    uri="http://snapshot.example.org/archive/debian/20261101T000000Z",
    codename="bookworm",
    signed_by="/usr/share/keyrings/x.gpg",
)


def test_a_snapshot_replaces_every_source(tmp_path: Path) -> None:
    command = bootstrap_command(MOMENT, "bookworm", ("bash",), tmp_path / "rootfs.tar", snapshot=True)
    there = "deb [signed-by=/usr/share/keyrings/x.gpg] http://snapshot.example.org/archive/"
    assert command[-3:] == (
        f"{there}debian/20261101T000000Z bookworm main",
        f"{there}debian/20261101T000000Z bookworm-updates main",
        f"{there}debian-security/20261101T000000Z bookworm-security main",
    )
    assert "--aptopt=Acquire::Check-Valid-Until=false" in command
    assert "--aptopt=Acquire::Retries=5" in command
    hooks = [word for word in command if word.startswith("--customize-hook=")]
    assert "which is not of the snapshot" in hooks[0], "before the indexes are removed"
    assert "rm -rf" in hooks[1]


def test_a_machines_own_archive_is_taken_as_ever(tmp_path: Path) -> None:
    command = bootstrap_command(MOMENT, "bookworm", ("bash",), tmp_path / "rootfs.tar")
    assert not any("Check-Valid-Until" in word or "not of the snapshot" in word for word in command)


@pytest.mark.parametrize(
    ("uri", "security"),
    [
        ("http://deb.example.org/debian", "http://deb.example.org/debian-security"),
        ("http://debian.example.org/mirror/debian/", "http://debian.example.org/mirror/debian-security"),
        (
            "http://x.example.org/debian/20261101T000000Z",
            "http://x.example.org/debian-security/20261101T000000Z",
        ),
        ("http://x.example.org/all", "http://x.example.org/all/debian-security"),
        ("", "/debian-security"),
    ],
)
def test_where_security_fixes_lie(uri: str, security: str) -> None:
    assert Archive(uri=uri, codename="x").security == security


LISTS = (
    "snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm_InRelease",
    "snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm_main_binary-amd64_Packages.lz4",
    "snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm-updates_InRelease",
    "snapshot.example.org_archive_debian-security_20261101T000000Z_dists_bookworm-security_InRelease",
    "lock",
    "partial",
)


def checked(folder: Path, *names: str) -> tuple[int, str]:
    for name in names:
        (folder / name).write_text("")
    script = lists_check(MOMENT, "bookworm", str(folder))
    done = subprocess.run(("sh", "-euc", script), text=True, capture_output=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.processes
def test_indexes_of_the_snapshot_alone_are_right(tmp_path: Path) -> None:
    assert checked(tmp_path, *LISTS) == (0, "")


@pytest.mark.processes
def test_one_index_from_elsewhere_is_enough_to_fail(tmp_path: Path) -> None:
    live = "deb.example.org_debian-security_dists_bookworm-security_InRelease"
    code, said = checked(tmp_path, *LISTS, live)
    assert (code, said) == (1, f"ingot: apt took {live}, which is not of the snapshot\n")


@pytest.mark.processes
def test_an_index_that_did_not_come_fails(tmp_path: Path) -> None:
    code, said = checked(tmp_path, *LISTS[:2], *LISTS[3:])
    assert code == 1
    assert (
        "the snapshot gave no index snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm-updates_"
        in said
    )
