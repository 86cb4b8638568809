"""The package index, both of its forms."""

import json

import pytest
import requests

from build.doors.packageindex import IndexFile, download, simple_index
from build.errors import IngotError, Unavailable, Unreachable, WorkFailed
from tests.unit.doors.wires import Reply, Wire

PAGE = "https://index.example.org/simple/thing/"
JSON = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
SHA = "a" * 64


def test_json_is_preferred_and_addresses_become_absolute() -> None:
    wire = Wire()
    files = [
        {"filename": "a", "url": "../../files/a.tar.gz", "hashes": {"sha256": SHA}},
        {"filename": "b", "url": "https://files.example.org/b.whl", "hashes": {}},
    ]
    wire.on(f"GET {PAGE}", Reply(headers=JSON, body=json.dumps({"files": files}).encode()))
    assert simple_index(PAGE, web=wire.web()) == (
        IndexFile(url="https://index.example.org/files/a.tar.gz", sha256=SHA),
        IndexFile(url="https://files.example.org/b.whl", sha256=""),
    )
    assert wire.sent[0].headers["Accept"].startswith("application/vnd.pypi.simple.v1+json")


def test_html_serves_where_json_is_not_spoken() -> None:
    wire = Wire()
    page = f'<base href="/other/"><a href="a.tar.gz?x=1&amp;y=2#sha256={SHA}">a</a><a href="b">b</a><a name="c">c</a>'
    wire.on(f"GET {PAGE}", Reply(headers=HTML, body=page.encode()))
    assert simple_index(PAGE, web=wire.web()) == (
        IndexFile(url="https://index.example.org/other/a.tar.gz?x=1&y=2", sha256=SHA),
        IndexFile(url="https://index.example.org/other/b", sha256=""),
    )


def test_addresses_are_relative_to_where_the_page_was_found() -> None:
    wire = Wire()
    wire.on(f"GET {PAGE}", Reply(status=301, headers={"Location": "https://new.example.org/thing/"}))
    body = json.dumps({"files": [{"url": "a", "hashes": {"sha256": SHA}}]}).encode()
    wire.on("GET https://new.example.org/thing/", Reply(headers=JSON, body=body))
    assert simple_index(PAGE, web=wire.web())[0].url == "https://new.example.org/thing/a"


def test_an_unknown_project_has_no_files() -> None:
    wire = Wire()
    wire.on(f"GET {PAGE}", Reply(status=404))
    assert simple_index(PAGE, web=wire.web()) == ()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (requests.ConnectionError("x"), Unreachable),
        (Reply(status=503), Unreachable),
        (Reply(status=401), Unavailable),
        (Reply(status=410), WorkFailed),
        (Reply(headers=JSON, body=b"[]"), WorkFailed),
        (Reply(headers=JSON, body=b'{"files": [1]}'), WorkFailed),
    ],
)
def test_failures_have_a_type_and_show_no_login(reply: Reply | Exception, kind: type[IngotError]) -> None:
    wire = Wire()
    wire.on(f"GET {PAGE}", reply)
    wire.on("GET https://me:s3cret@index.example.org/simple/thing/", reply)
    with pytest.raises(kind) as caught:
        simple_index("https://me:s3cret@index.example.org/simple/thing/", web=wire.web())
    assert "index.example.org" in caught.value.message
    assert "s3cret" not in caught.value.message


def test_a_file_comes_in_pieces_as_it_is_stored() -> None:
    wire = Wire()
    wire.on("GET https://files.example.org/a", Reply(body=b"x" * 1_000_000))
    pieces = list(download("https://files.example.org/a", web=wire.web()))
    assert len(pieces) > 1
    assert b"".join(pieces) == b"x" * 1_000_000
    assert wire.sent[0].headers["Accept-Encoding"] == "identity"


def test_a_file_that_is_not_there_is_an_error() -> None:
    wire = Wire()
    wire.on("GET https://files.example.org/a", Reply(status=404))
    with pytest.raises(WorkFailed, match=r"files\.example\.org answered 404"):
        list(download("https://files.example.org/a", web=wire.web()))
