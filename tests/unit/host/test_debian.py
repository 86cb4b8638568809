from pathlib import Path

import pytest

from build.errors import Unavailable
from build.host.debian import Archive, own_codename, parse_sources, read_archive

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb deb-src
URIs: http://mirror.example/debian http://other.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/k.gpg
"""


@pytest.mark.parametrize(
    ("text", "uri", "signed_by"),
    [
        (DEB822, "http://mirror.example/debian", "/usr/share/keyrings/k.gpg"),
        ("deb http://m.example/debian bookworm main\n", "http://m.example/debian", ""),
        ("deb [arch=amd64 signed-by=/k.gpg] https://m.example/d/ bookworm contrib main non-free\n",
         "https://m.example/d/", "/k.gpg"),
    ],
)  # fmt: skip
def test_both_formats(text: str, uri: str, signed_by: str) -> None:
    assert parse_sources(text, codename="bookworm") == Archive(
        uri=uri, codename="bookworm", signed_by=signed_by
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# deb http://m.example/debian bookworm main\n",
        "deb-src http://m.example/debian bookworm main\n",
        "deb http://m.example/debian bookworm-security main\n",
        "deb http://m.example/debian bookworm contrib\n",
        DEB822.replace("Suites: bookworm bookworm-updates", "Suites: trixie"),
        DEB822 + "Enabled: no\n",
        DEB822.replace("Types: deb deb-src", "Types: deb-src"),
    ],
)
def test_what_is_no_source_of_the_release(text: str) -> None:
    assert parse_sources(text, codename="bookworm") is None


def test_an_embedded_key_is_left_to_apt() -> None:
    text = DEB822.replace(
        "Signed-By: /usr/share/keyrings/k.gpg", "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----"
    )
    found = parse_sources(text, codename="bookworm")
    assert found
    assert found.signed_by == ""


def test_a_sources_list_of_other_suites() -> None:
    archive = Archive(uri="http://m.example/debian", codename="bookworm", signed_by="/k.gpg")
    assert archive.lines(("bookworm", "trixie")) == (
        "deb [signed-by=/k.gpg] http://m.example/debian bookworm main\n"
        "deb [signed-by=/k.gpg] http://m.example/debian trixie main\n"
    )


@pytest.mark.parametrize(
    ("text", "codename"),
    [("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"), ('VERSION_CODENAME="noble"\n', "noble"), ("ID=arch\n", "")],
)  # fmt: skip
def test_codename(text: str, codename: str) -> None:
    assert own_codename(text) == codename


def test_no_debian(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=arch\n")
    with pytest.raises(Unavailable) as caught:
        read_archive(tmp_path)
    assert (
        caught.value.message
        == "a private engine is made from Debian's packages, and this host is not a Debian"
    )
    assert (
        caught.value.hint
        == "install Docker with buildx and the containerd image store, then INGOT_ENGINE=host"
    )
