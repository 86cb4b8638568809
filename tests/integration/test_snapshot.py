"""A real Debian snapshot, as far as apt can tell: the machine's own archive under another address that counts what is asked."""

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build.doors.buildx import Buildx
from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.host.debian import Archive, ensure_installed, read_archive
from build.pin.debian import lists_check, sources
from build.pin.images import ImageStore
from build.pin.locks import read_debian_lock

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
MOMENT = "20260101T000000Z"
SUITE = "bookworm"


@dataclass(kw_only=True)
class Snapshot:
    """Forwards /<moment>/debian/... and /<moment>/debian-security/... to the archive."""

    uri: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def own() -> Archive:
    return read_archive()


@pytest.fixture
def snapshot(own: Archive) -> Iterator[Snapshot]:
    asked: list[str] = []
    behind = {f"/{MOMENT}/debian": own.uri.rstrip("/"), f"/{MOMENT}/debian-security": own.security}

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            prefix = next((one for one in behind if self.path.startswith(f"{one}/")), "")
            try:
                with urllib.request.urlopen(behind[prefix] + self.path.removeprefix(prefix)) as answer:
                    self.send_response(200)
                    self.send_header("Content-Length", answer.headers["Content-Length"])
                    self.end_headers()
                    shutil.copyfileobj(answer, self.wfile)
            except (KeyError, urllib.error.HTTPError):
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Snapshot(uri=f"http://127.0.0.1:{server.server_port}/{MOMENT}/debian", asked=asked)
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_package_comes_from_the_snapshot(
    tmp_path: Path, snapshot: Snapshot, engine: EngineHandle
) -> None:
    store = ImageStore(
        cache=tmp_path / "cache",
        templates=ROOT / "dockerfiles",
        builder=lambda: Buildx(engine),
        reporter=Console(),
        registry_has=lambda _reference: False,
        snapshot=snapshot.uri,
    )
    lock = read_debian_lock(ROOT / "recipes" / "toolchains")
    made = store.base(lock, ("bash",), mode="bootstrap")
    assert made.origin == f"bootstrapped: debian/{SUITE}, packages of {snapshot.uri}"
    assert any(one.startswith("bash=") for one in made.packages)
    pool = [path for path in snapshot.asked if path.endswith(".deb")]
    assert len(pool) >= len(made.packages), "each package was downloaded from there"
    for suite in (
        f"debian/dists/{SUITE}",
        f"debian/dists/{SUITE}-updates",
        f"debian-security/dists/{SUITE}-security",
    ):
        assert f"/{MOMENT}/{suite}/InRelease" in snapshot.asked
    assert made.lock != replace(store, snapshot="").debian_locks(lock, ("bash",))["bootstrap"]
    status = (tmp_path / "cache" / "images" / f"base-{made.lock[:12]}" / "dpkg" / "status").read_text()
    assert MOMENT not in status


def updated(folder: Path, archive: Archive) -> Path:
    """Let the host's apt fetch indexes into a folder of its own. Returns where they lie."""
    ensure_installed((("mmdebstrap", "mmdebstrap"),), Console())
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in sources(archive, SUITE)))
    places = {
        "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder, "APT::Sandbox::User": "root", "Acquire::Check-Valid-Until": "false",
    }  # fmt: skip
    options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(("apt-get", "-qq", *options, "update"), check=True, capture_output=True)
    return folder / "lists"


def checked(archive: Archive, lists: Path) -> subprocess.CompletedProcess[str]:
    script = lists_check(archive, SUITE, str(lists))
    return subprocess.run(
        ("sh", "-euc", script), text=True, capture_output=True, check=False, env=dict(os.environ)
    )


def test_an_index_from_elsewhere_is_refused(tmp_path: Path, snapshot: Snapshot, own: Archive) -> None:
    """What apt itself wrote, from the snapshot and from the machine's own archive."""
    there = replace(own, uri=snapshot.uri)
    lists = updated(tmp_path / "there", there)
    good = checked(there, lists)
    assert good.returncode == 0, good.stderr
    elsewhere = updated(tmp_path / "own", own)
    assert {path.name for path in lists.glob("*InRelease")}.isdisjoint(
        path.name for path in elsewhere.glob("*InRelease")
    )
    refused = checked(there, elsewhere)
    assert refused.returncode == 1
    assert "which is not of the snapshot" in refused.stderr
    # One live source among three is as bad as all of them.
    live = next(elsewhere.glob("*security*InRelease"))
    shutil.copy(live, lists)
    mixed = checked(there, lists)
    assert mixed.returncode == 1
    assert f"ingot: apt took {live.name}, which is not of the snapshot" in mixed.stderr
    (lists / live.name).unlink()
    next(lists.glob("*security*InRelease")).unlink()
    lacking = checked(there, lists)
    assert lacking.returncode == 1
    assert "ingot: the snapshot gave no index" in lacking.stderr
