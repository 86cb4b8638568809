"""Unit tests reach no network and start no program, unless a test says `processes`."""

import socket
import subprocess
from typing import Never

import pytest


@pytest.fixture(autouse=True)
def offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Never:
        message = "a unit test may not do this; see tests/unit/conftest.py"
        raise AssertionError(message)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    if not request.node.get_closest_marker("processes"):
        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
        # Popen looks at this when it is deleted, initialised or not.
        monkeypatch.setattr(subprocess.Popen, "_child_created", False, raising=False)
