"""The machine's slots for compilers, with real locks and real processes."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dockerfiles" / "scripts" / "slot.sh"
COMPILER = 'touch "$0/$$"; ls "$0" | wc -l; sleep 0.05; rm "$0/$$"; exit "$1"'

pytestmark = pytest.mark.processes


def started(tmp_path: Path, slots: int, status: int = 0) -> subprocess.Popen[str]:
    for name in ("slots", "running"):
        (tmp_path / name).mkdir(exist_ok=True)
    return subprocess.Popen(
        ("sh", SCRIPT, "sh", "-c", COMPILER, str(tmp_path / "running"), str(status)),
        env={"PATH": "/usr/bin:/bin", "INGOT_SLOTS": str(slots), "INGOT_SLOTS_DIR": str(tmp_path / "slots")},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_builds_side_by_side_share_the_slots(tmp_path: Path) -> None:
    """Two builds that reckoned with 2 and with 1 slots: together they never compile more than 2 files at once."""
    compilers = [started(tmp_path, 2) for _ in range(5)] + [started(tmp_path, 1) for _ in range(3)]
    at_once = [int(one.communicate(timeout=60)[0]) for one in compilers]
    assert max(at_once) <= 2
    assert [one.returncode for one in compilers] == [0] * 8


def test_the_compilers_status_is_passed_on(tmp_path: Path) -> None:
    failing = started(tmp_path, 1, status=3)
    failing.communicate(timeout=60)
    assert failing.returncode == 3


def test_a_killed_compiler_leaves_its_slot(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    environment = {"PATH": "/usr/bin:/bin", "INGOT_SLOTS": "1", "INGOT_SLOTS_DIR": str(tmp_path / "slots")}
    with subprocess.Popen(
        ("sh", SCRIPT, "sh", "-c", "echo begun; exec sleep 60"), env=environment, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"begun\n"
        holder.kill()
    after = started(tmp_path, 1)
    assert after.communicate(timeout=60)[0].strip() == "1"
