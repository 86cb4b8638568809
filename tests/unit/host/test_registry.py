import json
from pathlib import Path

from build.host.registry import configuration, status
from build.settings import from_env


def test_the_server_listens_on_loopback_only_and_may_delete() -> None:
    said = json.loads(configuration(Path("/data"), 5000))
    assert said["http"] == {"addr": "127.0.0.1:5000"}
    assert said["storage"] == {"filesystem": {"rootdirectory": "/data"}, "delete": {"enabled": True}}


def test_a_stale_pid_file_is_no_server(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "pid").write_text("1\n")
    (folder / "port").write_text("5000\n")
    assert status(from_env({"INGOT_CACHE": str(tmp_path)}, tmp_path)) is None
