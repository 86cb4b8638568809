"""A remote that takes the connection and never answers: no git outlives the run that waited for it."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.doors import gitlocks
from build.doors.gitlocks import clear_locks
from build.errors import WorkFailed

_FLAGS = Path("/sys/class/net/lo/flags")
_DOWN = _FLAGS.exists() and not int(_FLAGS.read_text(), 16) & 1

pytestmark = [
    pytest.mark.skipif(_DOWN, reason="loopback is down"),
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc and PDEATHSIG are Linux's"),
]

ROOT = Path(__file__).parents[3]
_HANGS_S = 120.0
"""When the test gives up. It waits for events, never for so long."""
CALLS = {
    "fetch": "mirrors.fetch(url, Commit('01' * 20))",
    "ls-remote": "ls_remote(mirrors, url)",
}
CODE = """
import os, signal
from pathlib import Path
from build.doors.git import GitMirrors
from build.doors.remote import ls_remote
from build.recipe.refs import Commit
signal.signal(signal.SIGINT, signal.default_int_handler)
mirrors, url = GitMirrors(root=Path("mirrors")), os.environ["STUCK"]
"""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_HANGS_S)
        yield listener


def gits(url: str) -> dict[int, str]:
    """List the living processes that name `url` as a word: git, its helpers, the shell in front."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if url in words and Path(words[0]).name.startswith(("git", "sh")):
            found[int(entry.name)] = " ".join(words)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize("scheme", ["git", "http"])
@pytest.mark.parametrize("call", CALLS)
def test_no_git_is_left(
    call: str, scheme: str, number: signal.Signals, silent: socket.socket, tmp_path: Path
) -> None:
    url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x.git"
    child = subprocess.Popen(
        (sys.executable, "-c", CODE + CALLS[call]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STUCK": url},
        stderr=subprocess.DEVNULL,
    )
    with child:
        connection, _ = silent.accept()
        with connection:
            waiting = [os.pidfd_open(pid) for pid in gits(url)]
            assert waiting, "it waits"
            child.send_signal(number)
            child.wait(_HANGS_S)
            ended = [bool(select.select([one], [], [], _HANGS_S)[0]) for one in waiting]
            left = gits(url)
            for one in waiting:
                os.close(one)
    assert all(ended)
    assert left == {}
    assert list((tmp_path / "mirrors").rglob("shallow.lock")) == []


def test_locks_of_a_living_git_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitlocks, "_GONE_S", 0.3)
    (tmp_path / "shallow.lock").touch()
    with subprocess.Popen(("sh", "-c", "read line", "fetch"), cwd=tmp_path, stdin=subprocess.PIPE) as living:
        # For a moment after the start the kernel shows no words.
        while b"fetch" not in Path(f"/proc/{living.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        with pytest.raises(WorkFailed, match=re.escape(f"git is still at work in {tmp_path}: ")) as refused:
            clear_locks(tmp_path, "shallow.lock")
        assert str(living.pid) in refused.value.message
        assert (tmp_path / "shallow.lock").exists()
        living.kill()
    clear_locks(tmp_path, "shallow.lock")
    assert not (tmp_path / "shallow.lock").exists()
