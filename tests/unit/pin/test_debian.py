from pathlib import Path

from build.host.debian import Archive
from build.pin.debian import bootstrap_command, installed

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
