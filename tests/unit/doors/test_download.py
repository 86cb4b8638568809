"""Blobs out of a registry: whole and proven, or not there."""

import hashlib
from pathlib import Path

import pytest
import requests

from build.doors.download import ReadingRegistry
from build.doors.tokens import Refused
from build.errors import IngotError, Unreachable, WorkFailed
from build.recipe.refs import Digest, ImageRef
from tests.unit.doors.test_registry import BASE, BEARER, HOST, PULL, log_in
from tests.unit.doors.wires import Reply, Wire, error_document

REPOSITORY = ImageRef.parse(f"{HOST}/team/app")
DATA = b"layer" * 1000
DIGEST = Digest(f"sha256:{hashlib.sha256(DATA).hexdigest()}")
URL = f"GET {BASE}/blobs/{DIGEST}"
ELSEWHERE = "https://storage.example.org/x?ticket=1"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def registry(wire: Wire, tmp_path: Path) -> ReadingRegistry:
    return ReadingRegistry(docker_config=tmp_path, web=wire.web())


def save(registry: ReadingRegistry, path: Path) -> list[int]:
    counts: list[int] = []
    registry.save_blob(REPOSITORY, DIGEST, len(DATA), path, on_bytes=counts.append)
    return counts


def test_a_blob_is_written(wire: Wire, registry: ReadingRegistry, tmp_path: Path) -> None:
    wire.on(URL, Reply(body=DATA))
    path = tmp_path / "deep" / "blob"
    assert save(registry, path)[-1] == len(DATA)
    assert path.read_bytes() == DATA
    assert [one.name for one in path.parent.iterdir()] == ["blob"]


def test_a_challenge_is_answered_and_storage_gets_no_token(
    wire: Wire, registry: ReadingRegistry, tmp_path: Path
) -> None:
    log_in(tmp_path)
    wire.on(URL, BEARER, Reply(status=307, headers={"Location": ELSEWHERE}))
    wire.on(f"GET {PULL}", Reply(body=b'{"token": "ticket"}'))
    wire.on(f"GET {ELSEWHERE}", Reply(body=DATA))
    save(registry, tmp_path / "blob")
    assert wire.sent[-2].headers["Authorization"] == "Bearer ticket"
    assert "Authorization" not in wire.sent[-1].headers


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (Reply(body=DATA[:-1] + b"x"), WorkFailed, f"blob {DIGEST} arrived as sha256:"),
        (Reply(body=DATA + b"x"), WorkFailed, f"blob {DIGEST} is longer than the 5000 bytes that its manifest says"),
        (Reply(status=404, body=error_document("BLOB_UNKNOWN")), WorkFailed, f"{HOST} answered 404 when asked for blob"),
        (BEARER, Refused, f"{HOST} refuses access: blob"),
    ],
)  # fmt: skip
def test_what_is_not_the_blob_leaves_no_file(
    wire: Wire, registry: ReadingRegistry, tmp_path: Path, reply: Reply, kind: type[IngotError], message: str
) -> None:
    wire.on(URL, reply)
    wire.on(f"GET {PULL}", Reply(body=b'{"token": "ticket"}'))
    with pytest.raises(kind) as error:
        save(registry, tmp_path / "out" / "blob")
    assert error.value.message.startswith(message)
    assert not list((tmp_path / "out").glob("*"))


def test_a_connection_that_breaks_is_tried_again(
    wire: Wire, registry: ReadingRegistry, tmp_path: Path
) -> None:
    wire.on(URL, Reply(body=DATA[:100]), requests.ConnectionError(), Reply(body=DATA))
    save(registry, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == DATA
    assert len(wire.slept) == 2


def test_a_registry_that_is_lost_is_unreachable(
    wire: Wire, registry: ReadingRegistry, tmp_path: Path
) -> None:
    wire.on(URL, requests.ConnectionError())
    with pytest.raises(Unreachable):
        save(registry, tmp_path / "blob")
    assert not (tmp_path / "blob").exists()
