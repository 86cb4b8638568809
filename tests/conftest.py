"""Options of the test suite, and an environment that is the same for everyone."""

import os
from collections.abc import Iterable

import pytest
from hypothesis import settings

_OURS = ("INGOT_", "DOCKER_", "BUILDX_", "BUILDKIT_", "GITHUB_")
_ALSO = ("CI", "NO_COLOR", "FORCE_COLOR", "SOURCE_DATE_EPOCH")


# No test is timed: on a busy machine the same example may take any time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-docker", action="store_true", help="run the tests that need a container engine")
    parser.addoption("--run-gpu", action="store_true", help="run the tests that need an NVIDIA GPU")
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden files; the diff is the review"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "processes: a unit test that runs small programs of the host (sh, git)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    for marker, option in (("engine", "--run-docker"), ("gpu", "--run-gpu")):
        if config.getoption(option):
            continue
        skip = pytest.mark.skip(reason=f"needs {option}")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def clean_env(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the user's settings away; tests of the real engine keep them, they say which engine is meant."""
    if request.node.get_closest_marker("engine") or request.node.get_closest_marker("gpu"):
        return
    for name in tuple(os.environ):
        if name.startswith(_OURS) or name in _ALSO:
            monkeypatch.delenv(name)
