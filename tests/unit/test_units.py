"""The systemd units of docs/systemd, as systemd itself reads them, with this checkout in the place of theirs."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "docs" / "systemd"
NAMES = ("ingot-rebuild.service", "ingot-rebuild.timer")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"),
]


def verify(folder: Path, old: str = "", new: str = "") -> subprocess.CompletedProcess[str]:
    for name in NAMES:
        text = (UNITS / name).read_text().replace("/srv/ingot", str(ROOT))
        (folder / name).write_text(text.replace(old, new, 1) if old else text)
    files = [str(folder / name) for name in NAMES]
    return subprocess.run(
        ("systemd-analyze", "verify", "--man=no", *files), check=False, capture_output=True, text=True
    )


def test_the_units_are_understood(tmp_path: Path) -> None:
    done = verify(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ingot" not in done.stderr, "a warning about ours"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("noxw -s rebuild", "no-such -s rebuild", "no-such is not executable"),
        ("KillSignal=SIGINT", "KillSignal=INTERRUPT", "INTERRUPT"),
        ("OnCalendar=*-*-* 04:17:00", "OnCalendar=daily at four", "Failed to parse calendar specification"),
        ("Persistent=true", "Persistence=true", "Persistence"),
    ],
)
def test_a_unit_that_is_broken_is_found(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in verify(tmp_path, old, new).stderr
