import os
import subprocess
import sys
from pathlib import Path

import pytest

from build.host.processes import alive, belonging_to, end, mounts_under, pid_in


@pytest.mark.parametrize(("text", "pid"), [("12\n", 12), ("", None), ("x", None)])
def test_pid_files(tmp_path: Path, text: str, pid: int | None) -> None:
    (tmp_path / "pid").write_text(text)
    assert pid_in(tmp_path / "pid") == pid
    assert pid_in(tmp_path / "none") is None


def test_mounts_inside_folders_innermost_first() -> None:
    mountinfo = (
        "22 1 8:1 / / rw - ext4 /dev/a rw\n"
        "30 22 0:30 / /run/ingot-ab/exec rw - tmpfs tmpfs rw\n"
        "31 30 0:31 / /run/ingot-ab/exec/netns/x rw - nsfs nsfs rw\n"
        "32 22 0:32 / /run/ingot-abc rw - tmpfs tmpfs rw\n"
        "33 22 0:33 / /a\\040b/data rw - overlay overlay rw\n"
    )
    found = mounts_under(mountinfo, Path("/run/ingot-ab"), Path("/a b"))
    assert found == ("/run/ingot-ab/exec/netns/x", "/run/ingot-ab/exec", "/a b/data")


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_daemon_is_found_by_its_folder_and_ended(tmp_path: Path) -> None:
    daemon = tmp_path / "dockerd"
    daemon.symlink_to("/bin/sh")
    config = tmp_path / "run" / "daemon.json"
    config.parent.mkdir()
    argv = [str(daemon), "-c", "trap '' TERM; echo up; read line", str(config)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert belonging_to(tmp_path / "run") == (process.pid,)
        assert belonging_to(tmp_path / "ru") == ()
        assert alive(process.pid, names=str(tmp_path))
        assert not alive(process.pid, names="another")
        end((process.pid,), patience_s=0.1)
        assert not alive(process.pid)
    assert not alive(os.getpid(), names="no such word")
