"""The server's checks, each on a server that is good and on one that is broken in one way."""

import pytest

from build.recipe.model import SmokeModel
from build.smoke.running import server
from tests.unit.smoke.running.images import asked, findings, good_server, running_image


def test_a_healthy_server_passes() -> None:
    image = running_image(good_server(), model=SmokeModel.MINI)
    assert findings(server.health, image) == []
    (started, probe) = asked(image).specs
    assert started.args == ("--model", "/ingot/model/tiny.mini", "--port", "8080")
    assert probe.args[0].startswith("curl -sS --max-time 30 --max-filesize 1048576 --fail --retry 5 ")
    assert probe.args[0].endswith(" http://127.0.0.1:8080/health")


def test_a_server_that_dies_at_the_start_shows_its_log() -> None:
    log = "".join(f"line {number}\n" for number in range(30))
    image = running_image(good_server(dies=log + "error: failed to load model\n"))
    last = "\n".join(f"line {number}" for number in range(19, 30))
    assert findings(server.health, image) == [
        f"the server ended with status 1 before /health answered 200; its last lines:\n{last}\nerror: failed to load model"
    ]


def test_a_server_that_never_becomes_healthy_shows_its_log() -> None:
    image = running_image(good_server(healthy=False, log="loading model\n"))
    assert findings(server.health, image) == [
        "/health did not answer 200 within 60 s; the server's last lines:\nloading model"
    ]
    assert asked(image).now == 61, "the server's start and 60 s"


def test_endpoints_that_say_the_right_thing_pass() -> None:
    assert findings(server.endpoints, running_image(good_server())) == []


@pytest.mark.parametrize(
    ("pages", "finding"),
    [
        (
            {"/props": '{"build_info":"b0"}'},
            'GET /props does not hold \'b42-abcdef123\': {"build_info":"b0"}',
        ),
        ({"/props": "x" * 500}, "GET /props does not hold 'b42-abcdef123': " + "x" * 300),
        ({}, "GET /props failed: curl: (22) The requested URL returned error: 404"),
    ],
)
def test_an_endpoint_that_does_not(pages: dict[str, str], finding: str) -> None:
    assert findings(server.endpoints, running_image(good_server(pages=pages))) == [finding]


def test_a_server_that_ends_on_sigterm_passes() -> None:
    assert findings(server.sigterm, running_image(good_server())) == []


def test_a_server_that_ignores_sigterm() -> None:
    image = running_image(good_server(sigterm_exit=None))
    assert findings(server.sigterm, image) == ["the server did not end within 10 s of SIGTERM"]


def test_a_server_that_ends_with_another_status() -> None:
    image = running_image(good_server(sigterm_exit=143, log="cleaning up\nbye\n"))
    assert findings(server.sigterm, image) == [
        "SIGTERM ended it with status 143, expected 0: cleaning up\nbye"
    ]
    assert findings(server.sigterm, running_image(good_server(sigterm_exit=143), sigterm_exit=143)) == []
