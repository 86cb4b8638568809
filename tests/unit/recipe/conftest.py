from functools import partial
from pathlib import Path

import pytest

from tests.unit.recipe.checkouts import Checkout, lay_out


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return partial(lay_out, tmp_path)
