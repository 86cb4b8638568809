"""history and rollback in a registry that wants a login: the distribution's server with a password file."""

import base64
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from build.doors.registry import HttpRegistry, Refused
from build.host import registry as server
from build.publish.history import history
from build.publish.rollback import carry_out, plan_rollback
from build.settings import Namespace, from_env
from tests.unit.publish.published import Silent, Upstream, publish, recipe_at

pytestmark = pytest.mark.engine

PASSWORD = "correct horse"
PASSWORDS = "me:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"
"""The same as htpasswd -B writes it."""
STATES = tuple(Upstream(number=number) for number in (1, 2))


def answers(address: str) -> int:
    with closing(http.client.HTTPConnection(address, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status
        except OSError:
            return 0


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    folder = tmp_path_factory.mktemp("private")
    settings = from_env({"INGOT_CACHE": str(folder / "cache")}, Path.cwd())
    program, port = server._program(server._folder(settings)), server._port(folder)
    (folder / "passwords").write_text(PASSWORDS)
    wanted = {"htpasswd": {"realm": "private", "path": str(folder / "passwords")}}
    configuration = json.loads(server.configuration(folder / "data", port)) | {"auth": wanted}
    (folder / "config.json").write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            (program, "serve", str(folder / "config.json")),
            stdout=log,
            stderr=log,
            env={"OTEL_TRACES_EXPORTER": "none"},
        )
    address = f"127.0.0.1:{port}"
    try:
        until = time.monotonic() + 20
        while answers(address) != 401:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield Namespace(host=address, path="team")
    finally:
        process.terminate()
        process.wait(timeout=20)


def log_in(folder: Path, registry: str, password: str) -> HttpRegistry:
    """Write what `docker login` writes."""
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return HttpRegistry(docker_config=folder)


def test_with_docker_s_login_there_and_back(private: Namespace, tmp_path: Path) -> None:
    registry = log_in(tmp_path, private.host, PASSWORD)
    receipts = [publish(registry, private, tmp_path, state) for state in STATES]
    recipe = recipe_at(STATES[-1])
    found = history(recipe, private, registry, Silent())
    assert [image.digest for image in found.images] == [receipt.digest for receipt in reversed(receipts)]
    done = carry_out(plan_rollback(recipe, "", private, registry, Silent()), registry, Silent())
    assert done.digest == receipts[0].digest
    assert history(recipe, private, registry, Silent()).images[1].moving_tags == ("b1", "latest")


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_a_login_it_is_refused_and_not_taken_for_empty(
    private: Namespace, tmp_path: Path, password: str
) -> None:
    registry = log_in(tmp_path, private.host, password) if password else HttpRegistry(docker_config=tmp_path)
    with pytest.raises(Refused) as caught:
        history(recipe_at(STATES[0]), private, registry, Silent())
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith(f"{private.host} refuses access: the list of tags")
    assert f"docker login {private.host}" in caught.value.hint
    assert "wrong" not in caught.value.message
