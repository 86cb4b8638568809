from pathlib import Path

import pytest

from tests.unit.patching.installed import SAMPLES, Installed


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    made = Installed.make(tmp_path)
    (made.context / "sets" / "mini").symlink_to(SAMPLES / "minipatches")
    return made
