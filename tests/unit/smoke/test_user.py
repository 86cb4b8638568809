from pathlib import Path
from typing import Any

import pytest

from tests.layouts import Node, Tree, elf, folder
from tests.unit.smoke.samples import findings

PROMISED = "the recipe promises '10001:10001'"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ["the image runs as root", f"the image runs as '', {PROMISED}"]),
        (
            "root",
            [
                "the image runs as 'root', a cluster can only check a number",
                f"the image runs as 'root', {PROMISED}",
            ],
        ),
        ("0:0", ["the image runs as root (0:0)", f"the image runs as '0:0', {PROMISED}"]),
        ("10001:0", ["the image runs as root (10001:0)", f"the image runs as '10001:0', {PROMISED}"]),
        ("10002:10002", [f"the image runs as '10002:10002', {PROMISED}"]),
    ],
)
def test_the_user(tmp_path: Path, user: str, expected: list[str]) -> None:
    assert findings(tmp_path, "user", config={"User": user}) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"etc/shadow": b"root:$6$salt$hash:19000::::::\n"}, ["/etc/shadow: root has a password"]),
        ({"etc/shadow": b"root:abcdefghijklm:19000::::::\n"}, ["/etc/shadow: root has a password"]),
        ({"etc/shadow": b"root::19000::::::\n"}, ["/etc/shadow: root needs no password"]),
        (
            {"etc/passwd": b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"},
            ["/etc/passwd: toor is a second root"],
        ),
        ({"usr/bin/rootme": Node(mode=0o4755)}, ["/usr/bin/rootme is setuid or setgid (4755)"]),
        ({"app/su": Node(mode=0o2755)}, ["/app/su is setuid or setgid (2755)"]),
        ({"usr/bin/su": Node(mode=0o4755, uid=5)}, ["/usr/bin/su is setuid or setgid (4755)"]),
        ({"bin/mount": Node(mode=0o4755)}, []),
        (
            {"usr/bin/ping": Node(pax={"SCHILY.xattr.security.capability": "x"})},
            ["/usr/bin/ping carries file capabilities"],
        ),
        ({"app/.wh.server": b""}, ["the entrypoint /app/server is not in the image"]),
        ({"app/server": elf("server", mode=0o644)}, ["/app/server cannot be run by 10001:10001 (0644)"]),
        ({"app/server": elf("server", mode=0o700)}, ["/app/server cannot be run by 10001:10001 (0700)"]),
        ({"app/server": elf("server", mode=0o700, uid=10001)}, []),
        ({"app/server": elf("server", mode=0o670, gid=10001)}, []),
        ({"app": folder(0o750)}, ["/app cannot be entered by 10001:10001 (0750)"]),
    ],
)
def test_files(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "user", change) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"Entrypoint": ["/bin/sh"]}, ["the entrypoint is ['/bin/sh'], the recipe promises ['/app/server']"]),
        ({"WorkingDir": "/"}, ["the working directory is '/', the recipe promises '/app'"]),
    ],
)
def test_the_start(tmp_path: Path, config: dict[str, Any], expected: list[str]) -> None:
    assert findings(tmp_path, "user", config=config) == expected


def test_the_entrypoint_is_looked_up_in_the_path(tmp_path: Path) -> None:
    config = {"Entrypoint": ["server"], "Env": ["PATH=/bin:/app"]}
    assert findings(tmp_path / "a", "user", config=config, entrypoint=("server",)) == []
    config = {"Entrypoint": ["server"], "Env": ["PATH=/bin"]}
    assert findings(tmp_path / "b", "user", config=config, entrypoint=("server",)) == [
        "the entrypoint server is not in the image"
    ]
