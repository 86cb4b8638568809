"""The distribution's registry server on loopback, one for all tests that need a real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from build.host import registry as server
from build.settings import from_env
from tests.unit.publish.published import Silent


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = from_env({"INGOT_CACHE": str(tmp_path_factory.mktemp("cache"))}, Path.cwd())
    yield server.start(settings, Silent()).address
    server.stop(settings, purge=True)
