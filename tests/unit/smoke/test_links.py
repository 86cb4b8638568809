from pathlib import Path

import pytest

from tests.layouts import Node, Tree, symlink
from tests.unit.smoke.samples import findings

LINK, TARGET = "/usr/local/bin/llama-server", "/app/server"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"usr/local/bin/llama-server": symlink("/app/server")}, []),
        ({}, [f"{LINK} leads nowhere, the recipe promises a link to {TARGET}"]),
        (
            {"usr/local/bin/llama-server": symlink("/app/gone")},
            [f"{LINK} leads nowhere, the recipe promises a link to {TARGET}"],
        ),
        (
            {"usr/local/bin/llama-server": symlink("/etc/passwd")},
            [f"{LINK} leads to /etc/passwd, the recipe promises {TARGET}"],
        ),
        (
            {
                "usr/local/bin/llama-server": symlink("/app/server"),
                "app/server": Node(data=b"#!", mode=0o644),
            },
            [f"{LINK} leads to {TARGET}, which is no program"],
        ),
    ],
)
def test_the_promised_link(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "links", change, links=((LINK, TARGET),)) == expected
