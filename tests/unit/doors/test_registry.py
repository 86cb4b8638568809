import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from build.doors.registry import HttpRegistry, Refused, parse_reference
from build.doors.tokens import parse_challenges
from build.errors import BadRequest, IngotError, Unreachable, WorkFailed
from build.recipe.refs import Digest, ImageRef
from tests.unit.doors.wires import Reply, Sent, Wire, error_document

HOST = "reg.example.org"
BASE = f"https://{HOST}/v2/team/app"
REPOSITORY = ImageRef.parse(f"{HOST}/team/app")
REF = ImageRef.parse(f"{HOST}/team/app:one")
OCI = "application/vnd.oci.image.manifest.v1+json"
DATA = b'{"schemaVersion": 2}'
DIGEST = Digest(f"sha256:{hashlib.sha256(DATA).hexdigest()}")
FOUND = Reply(headers={"Content-Type": OCI, "Docker-Content-Digest": DIGEST}, body=DATA)
GONE = Reply(status=404, body=error_document("MANIFEST_UNKNOWN"))
BEARER = Reply(
    status=401,
    headers={"WWW-Authenticate": f'Bearer realm="https://auth.example.org/token",service="{HOST}"'},
    body=error_document("UNAUTHORIZED"),
)
BASIC = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
SECRET = "p4ssw0rd-of-the-user"
PULL = "https://auth.example.org/token?service=reg.example.org&scope=repository%3Ateam%2Fapp%3Apull"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def registry(wire: Wire, tmp_path: Path) -> HttpRegistry:
    return HttpRegistry(docker_config=tmp_path, web=wire.web())


def log_in(folder: Path, **entry: str) -> None:
    given = entry or {"auth": base64.b64encode(f"me:{SECRET}".encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {HOST: given}}))


def test_a_manifest_is_read_and_its_digest_proven(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", FOUND)
    found = registry.manifest(REF)
    assert found
    assert (found.digest, found.media_type, found.data) == (DIGEST, OCI, DATA)
    assert OCI in wire.sent[0].headers["Accept"]


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"])
def test_only_a_registry_can_say_that_something_does_not_exist(
    wire: Wire, registry: HttpRegistry, code: str
) -> None:
    wire.on(f"GET {BASE}/manifests/one", Reply(status=404, body=error_document(code)))
    assert registry.manifest(REF) is None


def test_a_404_of_another_server_is_no_answer(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", Reply(status=404, body=b"<html>not here</html>"))
    with pytest.raises(WorkFailed) as caught:
        registry.manifest(REF)
    assert caught.value.message == f"{HOST} answered 404 when asked for {REF}: status 404"
    assert caught.value.hint == f"is {HOST} an image registry?"


def test_a_page_of_a_captive_portal_is_no_manifest(wire: Wire, registry: HttpRegistry) -> None:
    page = Reply(headers={"Content-Type": "text/html"}, body=b"<html>sign in</html>")
    wire.on(f"GET {BASE}/manifests/one", page)
    wire.on(f"HEAD {BASE}/manifests/one", page)
    for ask in (lambda: registry.manifest(REF), lambda: registry.exists(str(REF))):
        with pytest.raises(WorkFailed, match="answered 200 when asked for"):
            ask()


LATER: list[Reply | Exception] = [
    Reply(status=429), Reply(status=408), Reply(status=500), Reply(status=502), Reply(status=503), Reply(status=504),
    requests.ConnectionError("x"), requests.ConnectTimeout("x"), requests.ReadTimeout("x"),
    requests.exceptions.ProxyError("x"),
]  # fmt: skip


@pytest.mark.parametrize("failure", LATER, ids=repr)
def test_what_may_pass_is_tried_again(wire: Wire, registry: HttpRegistry, failure: Reply | Exception) -> None:
    wire.on(f"GET {BASE}/manifests/one", failure, failure, FOUND)
    assert registry.manifest(REF) is not None
    assert len(wire.slept) == 2


@pytest.mark.parametrize("failure", LATER, ids=repr)
def test_what_does_not_pass_is_unreachable_and_never_absent(
    wire: Wire, registry: HttpRegistry, failure: Reply | Exception
) -> None:
    wire.on(f"GET {BASE}/manifests/one", failure)
    with pytest.raises(Unreachable) as caught:
        registry.manifest(REF)
    assert caught.value.message.startswith(HOST)
    assert caught.value.exit_code == 4
    assert len(wire.sent) == 4


def test_retry_after_is_honoured(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", Reply(status=429, headers={"Retry-After": "17"}), FOUND)
    registry.manifest(REF)
    assert wire.slept == [17.0]


def test_a_long_wait_is_not_waited_for(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", Reply(status=429, headers={"Retry-After": "21600"}))
    with pytest.raises(Unreachable, match="answered 429 and asks to come back in 21600 s"):
        registry.manifest(REF)
    assert wire.slept == []


def test_an_untrusted_certificate_is_not_tried_again(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", requests.exceptions.SSLError("x"))
    with pytest.raises(Unreachable, match="certificate is not trusted") as caught:
        registry.manifest(REF)
    assert "SSL_CERT_FILE" in caught.value.hint
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "reply", [Reply(headers={"Content-Type": OCI, "Docker-Content-Digest": DIGEST}, body=b"{}")]
)
def test_bytes_that_are_not_the_digest_are_refused(wire: Wire, registry: HttpRegistry, reply: Reply) -> None:
    wire.on(f"GET {BASE}/manifests/one", reply)
    with pytest.raises(WorkFailed, match="its bytes are sha256:44136fa"):
        registry.manifest(REF)
    wire.on(f"GET {BASE}/manifests/{DIGEST}", Reply(headers={"Content-Type": OCI}, body=b"{}"))
    with pytest.raises(WorkFailed, match="with a manifest whose digest is sha256:44136fa"):
        registry.manifest(ImageRef.parse(f"{HOST}/team/app@{DIGEST}"))


def test_an_anonymous_token_is_asked_for_once(wire: Wire, registry: HttpRegistry) -> None:
    def answer(sent: Sent) -> Reply:
        return FOUND if sent.headers.get("Authorization") == "Bearer T" else BEARER

    wire.on(f"GET {BASE}/manifests/one", answer)
    wire.on(
        f"GET {PULL}",
        lambda sent: Reply(body=b'{"token": "T"}') if "Authorization" not in sent.headers else GONE,
    )
    assert registry.manifest(REF)
    assert registry.manifest(REF)
    assert len(wire.sent) == 4


def test_an_expired_token_is_renewed(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", BEARER, FOUND, BEARER, FOUND)
    wire.on(f"GET {PULL}", Reply(body=b'{"access_token": "T"}'))
    assert registry.manifest(REF)
    assert registry.manifest(REF)
    assert len(wire.sent) == 6


def test_a_password_goes_to_the_token_service_only(
    wire: Wire, registry: HttpRegistry, tmp_path: Path
) -> None:
    log_in(tmp_path)
    wire.on(f"GET {BASE}/manifests/one", BEARER, FOUND)
    wire.on(f"GET {PULL}", Reply(body=b'{"token": "T"}'))
    assert registry.manifest(REF)
    login = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert [sent.headers.get("Authorization") for sent in wire.sent] == [None, login, "Bearer T"]


def test_an_identity_token_is_exchanged(wire: Wire, registry: HttpRegistry, tmp_path: Path) -> None:
    log_in(tmp_path, identitytoken="I")
    wire.on(f"GET {BASE}/manifests/one", BEARER, FOUND)
    wire.on("POST https://auth.example.org/token", Reply(body=b'{"access_token": "T"}'))
    assert registry.manifest(REF)
    assert wire.sent[1].body == (
        b"service=reg.example.org&grant_type=refresh_token&client_id=ingot&scope=repository%3Ateam%2Fapp%3Apull&refresh_token=I"
    )


def test_a_registry_token_is_sent_as_it_is(wire: Wire, registry: HttpRegistry, tmp_path: Path) -> None:
    log_in(tmp_path, registrytoken="R")
    wire.on(f"GET {BASE}/manifests/one", BEARER, FOUND)
    assert registry.manifest(REF)
    assert wire.sent[1].headers["Authorization"] == "Bearer R"


def test_basic_is_answered_where_it_is_asked_for(wire: Wire, registry: HttpRegistry, tmp_path: Path) -> None:
    log_in(tmp_path)
    wire.on(f"GET {BASE}/manifests/one", BASIC, FOUND)
    assert registry.manifest(REF)
    assert (
        wire.sent[1].headers["Authorization"] == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    )


@pytest.mark.parametrize("login", [False, True])
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("challenge", [BEARER, BASIC])
def test_a_refusal_names_the_registry_and_docker_login(
    wire: Wire, registry: HttpRegistry, tmp_path: Path, *, login: bool, status: int, challenge: Reply
) -> None:
    if login:
        log_in(tmp_path)
    wire.on(f"GET {BASE}/manifests/one", challenge, Reply(status=status, headers=challenge.headers))
    wire.on(f"GET {PULL}", Reply(body=b'{"token": "T"}'))
    with pytest.raises(Refused) as caught:
        registry.manifest(REF)
    assert caught.value.message.startswith(f"{HOST} refuses access: ")
    assert caught.value.hint.startswith(f"`docker login {HOST}`")
    assert caught.value.exit_code == 4
    assert wire.slept == []


def test_a_login_that_the_token_service_does_not_take(
    wire: Wire, registry: HttpRegistry, tmp_path: Path
) -> None:
    log_in(tmp_path)
    wire.on(f"GET {BASE}/manifests/one", BEARER)
    wire.on(f"GET {PULL}", Reply(status=401))
    with pytest.raises(Refused) as caught:
        registry.manifest(REF)
    assert caught.value.message == (
        f"{HOST} refuses access: auth.example.org gives no token for the login that docker has for it (401)"
    )


def test_a_proxy_that_forbids_is_not_the_registry(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", Reply(status=403, body=b"<html>blocked by policy</html>"))
    with pytest.raises(Unreachable, match="not as a registry does"):
        registry.manifest(REF)


def test_no_secret_is_in_an_error_or_a_repr(wire: Wire, registry: HttpRegistry, tmp_path: Path) -> None:
    log_in(tmp_path)
    echo: Callable[[Sent], Reply] = lambda sent: Reply(  # noqa: E731
        status=400 if "Authorization" in sent.headers else 401,
        headers=BASIC.headers,
        body=error_document("DENIED", f"who is {SECRET}, {sent.headers.get('Authorization')}?"),
    )
    wire.on(f"GET {BASE}/manifests/one", echo)
    with pytest.raises(IngotError) as caught:
        registry.manifest(REF)
    assert caught.value.message == f"{HOST} answered 400 when asked for {REF}: DENIED who is ***, Basic ***?"
    shown = repr((caught.value, registry, vars(registry), vars(registry._authority)["_known"]))
    assert SECRET not in shown


def test_a_token_in_an_error_of_the_network_is_not_shown(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/manifests/one", requests.ConnectionError("https://host/?_state=ticket refused"))
    with pytest.raises(Unreachable) as caught:
        registry.manifest(REF)
    assert caught.value.message == f"{HOST} cannot be reached: the connection broke"
    assert caught.value.__suppress_context__


def started(location: str) -> Reply:
    return Reply(status=202, headers={"Location": location})


@pytest.fixture
def file(tmp_path: Path) -> tuple[Digest, Path]:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789" * 50_000)
    return Digest(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"), path


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/team/app/blobs/uploads/1", f"{BASE}/blobs/uploads/1?"),
        (f"{BASE}/blobs/uploads/1?_state=s", f"{BASE}/blobs/uploads/1?_state=s&"),
        ("https://storage.example.org/u?sig=1", "https://storage.example.org/u?sig=1&"),
    ],
)
def test_a_blob_goes_where_the_registry_says(
    wire: Wire, registry: HttpRegistry, tmp_path: Path, file: tuple[Digest, Path], location: str, target: str
) -> None:
    log_in(tmp_path)
    digest, path = file
    put = f"PUT {target}digest=sha256%3A{digest.hex}"
    wire.on(f"POST {BASE}/blobs/uploads/", BASIC, started(location))
    wire.on(put, Reply(status=201))
    counts: list[int] = []
    registry.push_blob(REPOSITORY, digest, path, on_bytes=counts.append)
    sent = wire.sent[-1]
    assert sent.body == path.read_bytes()
    assert sent.headers["Content-Length"] == "500000"
    assert ("Authorization" in sent.headers) is target.startswith(BASE)
    assert counts[-1] == 500_000


def test_an_upload_is_begun_anew_when_the_connection_breaks(
    wire: Wire, registry: HttpRegistry, file: tuple[Digest, Path]
) -> None:
    digest, path = file
    query = f"digest=sha256%3A{digest.hex}"
    wire.on(f"POST {BASE}/blobs/uploads/", started("1"), started("2"), started("3"))
    wire.on(f"PUT {BASE}/blobs/uploads/1?{query}", requests.ConnectionError("x"))
    lost = Reply(status=404, body=error_document("BLOB_UPLOAD_UNKNOWN"))
    wire.on(f"PUT {BASE}/blobs/uploads/2?{query}", lost)
    wire.on(f"PUT {BASE}/blobs/uploads/3?{query}", Reply(status=201))
    registry.push_blob(REPOSITORY, digest, path)
    assert len(wire.sent) == 6


@pytest.mark.parametrize("change", [b"1" * 500_000, b"short"])
def test_a_changed_file_is_not_sent_whole(
    wire: Wire, registry: HttpRegistry, file: tuple[Digest, Path], change: bytes
) -> None:
    digest, path = file
    path.write_bytes(change)
    wire.on(f"POST {BASE}/blobs/uploads/", started("1"))
    with pytest.raises(WorkFailed, match=f"the file of blob {digest} has the digest sha256:"):
        registry.push_blob(REPOSITORY, digest, path)
    assert wire.asked == [f"POST {BASE}/blobs/uploads/"]


def test_an_upload_to_plain_http_is_refused(
    wire: Wire, registry: HttpRegistry, file: tuple[Digest, Path]
) -> None:
    wire.on(f"POST {BASE}/blobs/uploads/", started(f"http://{HOST}/v2/team/app/blobs/uploads/1"))
    with pytest.raises(WorkFailed) as caught:
        registry.push_blob(REPOSITORY, *file)
    assert caught.value.message == f"plain HTTP to {HOST} is refused; only loopback is spoken to without TLS"


@pytest.mark.parametrize(
    ("status", "there"), [(200, True), (302, True), (303, True), (307, True), (404, False)]
)
def test_a_blob_is_there_or_not(wire: Wire, registry: HttpRegistry, *, status: int, there: bool) -> None:
    wire.on(
        f"HEAD {BASE}/blobs/{DIGEST}", Reply(status=status, headers={"Location": "https://cdn.example.org/x"})
    )
    assert registry.has_blob(REPOSITORY, DIGEST) is there


def test_a_manifest_is_confirmed_by_its_digest(wire: Wire, registry: HttpRegistry) -> None:
    other = f"sha256:{'1' * 64}"
    wire.on(
        f"PUT {BASE}/manifests/one",
        Reply(status=201),
        Reply(status=201, headers={"Docker-Content-Digest": other}),
    )
    assert registry.put_manifest(REF, DATA, OCI) == DIGEST
    assert wire.sent[0].headers["Content-Type"] == OCI
    with pytest.raises(WorkFailed, match="calls team/app's manifest sha256:1111"):
        registry.put_manifest(REF, DATA, OCI)


def test_tags_are_read_page_by_page(wire: Wire, registry: HttpRegistry) -> None:
    link = {"Link": '</v2/team/app/tags/list?last=b&n=2>; rel="next"'}
    wire.on(f"GET {BASE}/tags/list", Reply(body=b'{"tags": ["a", "b"]}', headers=link))
    wire.on(f"GET {BASE}/tags/list?last=b&n=2", Reply(body=b'{"tags": ["c"]}'))
    assert registry.tags(REPOSITORY) == ("a", "b", "c")


HUB = "https://registry-1.docker.io/v2/library/debian/manifests"


def test_exists_asks_docker_hub_briefly(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"HEAD {HUB}/{DIGEST}", FOUND)
    assert registry.exists(f"debian:bookworm-slim@{DIGEST}") is True
    assert wire.sent[0].timeout == (5.0, 20.0)


def test_exists_says_no_only_where_the_registry_does(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"HEAD {HUB}/{DIGEST}", Reply(status=404))
    wire.on(f"GET {HUB}/{DIGEST}", GONE)
    assert registry.exists(f"debian@{DIGEST}") is False


def test_a_reference_is_turned_into_its_digest(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {HUB}/12", FOUND, GONE)
    assert registry.digest("debian:12") == DIGEST
    assert registry.digest("debian:12") is None


def test_exists_gives_up_soon(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"HEAD {HUB}/latest", requests.ConnectTimeout("x"))
    with pytest.raises(Unreachable) as caught:
        registry.exists("debian")
    assert caught.value.message == "registry-1.docker.io cannot be reached: no answer in time"
    assert len(wire.sent) == 2


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("localhost:5000", "http"), ("127.0.0.1:5000", "http"), ("127.9.9.9", "http"), ("[::1]:5000", "http"),
        ("10.0.0.1:5000", "https"), ("localhost.example.org", "https"), ("127.0.0.1.example.org", "https"),
    ],
)  # fmt: skip
def test_only_loopback_is_spoken_to_without_tls(
    wire: Wire, registry: HttpRegistry, host: str, scheme: str
) -> None:
    wire.on(f"GET {scheme}://{host}/v2/a/manifests/one", FOUND)
    assert registry.manifest(ImageRef(registry=host, repository="a", tag="one"))


def test_a_redirected_read_leaves_its_credentials_behind(
    wire: Wire, registry: HttpRegistry, tmp_path: Path
) -> None:
    log_in(tmp_path)
    away = Reply(status=307, headers={"Location": "https://cdn.example.org/m"})
    wire.on(f"GET {BASE}/manifests/one", BASIC, away)
    wire.on("GET https://cdn.example.org/m", FOUND)
    assert registry.manifest(REF)
    assert ["Authorization" in sent.headers for sent in wire.sent] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("me/app:1", "docker.io/me/app:1"),
        ("index.docker.io/me/app:1", "docker.io/me/app:1"),
        ("docker.io/debian:12", "docker.io/library/debian:12"),
        ("localhost/app:1", "localhost/app:1"),
        ("ghcr.io/me/app", "ghcr.io/me/app:latest"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian:12@{DIGEST}"),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, expected: str) -> None:
    assert str(parse_reference(text)) == expected


@pytest.mark.parametrize("text", ["", "Debian", "debian@sha256:12", "a b"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is not the name of an image"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("Basic", {"basic": {}}),
        ('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
         {"bearer": {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"}}),
        ('BASIC realm="a, b", Bearer realm="r\\"q", service=s', {"basic": {"realm": "a, b"}, "bearer": {"realm": 'r"q', "service": "s"}}),
    ],
)  # fmt: skip
def test_challenges_are_taken_apart(header: str, expected: dict[str, dict[str, str]]) -> None:
    assert parse_challenges(header) == expected


def test_a_short_blob_is_read_and_its_digest_proven(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/blobs/{DIGEST}", Reply(body=DATA))
    assert registry.read_blob(REPOSITORY, DIGEST) == DATA
    wire.on(f"GET {BASE}/blobs/{DIGEST}", Reply(body=b"{}"))
    with pytest.raises(WorkFailed, match=f"answers blob {DIGEST} with bytes whose digest is sha256:"):
        registry.read_blob(REPOSITORY, DIGEST)


def test_a_blob_in_storage_is_read_there_without_the_registry_s_login(
    wire: Wire, registry: HttpRegistry, tmp_path: Path
) -> None:
    log_in(tmp_path)
    storage = "https://storage.example.org/blob?sig=s"
    wire.on(f"GET {BASE}/blobs/{DIGEST}", BASIC, Reply(status=307, headers={"Location": storage}))
    wire.on(f"GET {storage}", Reply(body=DATA))
    assert registry.read_blob(REPOSITORY, DIGEST) == DATA
    assert "Authorization" in wire.sent[1].headers
    assert "Authorization" not in wire.sent[2].headers


def test_a_blob_is_absent_only_where_the_registry_says_so(wire: Wire, registry: HttpRegistry) -> None:
    wire.on(f"GET {BASE}/blobs/{DIGEST}", Reply(status=404, body=error_document("BLOB_UNKNOWN")))
    assert registry.read_blob(REPOSITORY, DIGEST) is None
    wire.on(f"GET {BASE}/blobs/{DIGEST}", Reply(status=404, body=b"<html>"))
    with pytest.raises(WorkFailed, match="answered 404"):
        registry.read_blob(REPOSITORY, DIGEST)
    wire.on(f"GET {BASE}/blobs/{DIGEST}", requests.ConnectionError())
    with pytest.raises(Unreachable):
        registry.read_blob(REPOSITORY, DIGEST)
