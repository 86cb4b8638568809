"""Nothing of the build and of its host is left in the image, deleted files of lower layers included."""

import mmap
import re
from collections.abc import Iterator
from typing import Final

from build.image.rootfs import ELF_MAGIC
from build.image.tree import Entry, Kind, printable
from build.recipe.model import Family
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict, is_vendor
from build.smoke.static.python_residue import python_residue

__all__ = ["CHECK", "check"]

_LEFTOVERS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r"var/lib/apt/lists/.+", "a package list"),
        (r"var/cache/apt/(?:.*\.bin|archives/.+\.deb)", "the package manager's cache"),
        (r"var/cache/(?:ldconfig/aux-cache|debconf/.+-old)", "a cache that differs from build to build"),
        (r"var/log/.+", "a log"),
        (r"(?:root|home/[^/]+)/\.(?!bashrc$|profile$|bash_logout$).+", "a home folder's own state"),
        (r"(?:src|build)(?:/.*)?", "a folder of the build"),
        (r"(?:.+/)?\.git(?:/.*)?", "a git repository"),
        (r"(?:.+/)?\.?s?ccache(?:/.*)?", "a compiler cache"),
        (
            r"(?:.*/)?(?:\w+-linux-gnu\w*-)?(?:gcc|g\+\+|cc|c\+\+|c89|c99|cpp|ld|as|ar|clang(?:\+\+)?)(?:-[\d.]+)?",
            "a compiler",
        ),
        (
            r"(?:.*/)?(?:cc1(?:plus)?|collect2|nvcc|cicc|ptxas|fatbinary|nvlink|cudafe\+\+|cmake|ninja)",
            "a compiler",
        ),
        (r"(?:tmp|var/tmp)/.+", "a temporary file"),
        (r"etc/ssh/ssh_host_.+", "a host key"),
        (r"(?:.+/)?\.(?:netrc|pypirc|docker/config\.json|npmrc|git-credentials)", "credentials"),
        (r"usr/local/share/ca-certificates/.+", "a certificate authority of the host"),
        (r"\.dockerenv", "a trace of the engine"),
    )
)
_COMPILERS: Final = frozenset({"clang", "g++", "gcc", "tcc"})
_PROGRAM_FOLDERS: Final = re.compile(r"(?:usr/(?:local/)?)?s?bin/|usr/lib(?:exec)?/gcc|.*/bin/|.*/nvvm/")
_DEVELOPMENT: Final = re.compile(r".+\.(?:a|la|o|h|hpp|cuh|cu|cmake|pc)")
_APT_SETTING: Final = re.compile(r"proxy|Acquire::https?::(?:CaInfo|CaPath|Verify)", re.IGNORECASE)
_LOCAL_HOSTS: Final = frozenset(
    {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix",
     "ip6-allnodes", "ip6-allrouters"}
)  # fmt: skip
_COMMON: Final = frozenset(
    {"root", "home", "build", "builder", "buildkit", "debian", "ubuntu", "linux", "docker", "localhost", "work", "main",
     "src", "ingot", "runner", "server", "host"}
)  # fmt: skip
_SHORTEST: Final = 4
_LIMIT: Final = 20


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Look for leftovers by path, by content, and for words that name the host."""
    words = tuple(word for word in dict.fromkeys(image.host_words) if _tells(word))
    findings = [
        *_paths(image, expect),
        *_development(image, expect),
        *_host(image),
        *_apt(image),
        *(python_residue(image) if expect.family is Family.PYTHON else ()),
        *_named(image, expect, words),
    ]
    shown = findings[:_LIMIT] + ([f"and {len(findings) - _LIMIT} more"] if len(findings) > _LIMIT else [])
    return Verdict(findings=tuple(shown), detail={"host_words": len(words), "findings": len(findings)})


CHECK: Final = StaticCheck(
    name="residue",
    protects="The image tells whose machine built it, is megabytes too large, or differs at every build.",
    run=check,
)


def _tells(word: str) -> bool:
    """Say whether finding a word would mean anything: `root` and `debian` stand in every image."""
    return len(word) >= _SHORTEST and word.strip("/") not in _COMMON


def _paths(image: StaticImage, expect: Expectations) -> Iterator[str]:
    for entry in image.rootfs:
        if entry.path.startswith("run/") and entry.kind is not Kind.FOLDER:
            yield f"{printable(entry.path)} is left over from a running system"
        why = next((why for pattern, why in _LEFTOVERS if pattern.fullmatch(entry.path)), "")
        if why and _counts(entry, why, expect):
            yield f"{printable(entry.path)} is {why}"


def _counts(entry: Entry, why: str, expect: Expectations) -> bool:
    """Empty logs and the package manager's own empty folders are part of a Debian base."""
    if why in {"a package list", "a log", "the package manager's cache"}:
        return entry.kind is not Kind.FOLDER and entry.size > 0
    if why == "a compiler":
        # Python packages bring their own, to compile kernels at run time: triton has a ptxas. It also wants a C compiler
        # for its launchers, which the recipe then asks Debian for by name.
        theirs = expect.family is Family.PYTHON and (
            f"/{entry.path}".startswith(f"{expect.app}/") or not _COMPILERS.isdisjoint(expect.packages)
        )
        return entry.kind is not Kind.FOLDER and _PROGRAM_FOLDERS.match(entry.path) is not None and not theirs
    return True


def _development(image: StaticImage, expect: Expectations) -> Iterator[str]:
    if expect.family is Family.PYTHON:
        # Python packages carry headers and sources that they compile from at run time.
        return
    for entry in image.below(expect.app):
        if _DEVELOPMENT.fullmatch(entry.path):
            yield f"{printable(entry.path)} is of use to a compiler only"


def _host(image: StaticImage) -> Iterator[str]:
    for path in ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/lib/dbus/machine-id"):
        entry = image.rootfs.get(path)
        if entry is not None and entry.read_text().strip() not in {"", "uninitialized"}:
            yield f"/{path} holds the build host's own"
    for line in _lines(image.rootfs.get("etc/hosts")):
        foreign = [name for name in line.split()[1:] if name not in _LOCAL_HOSTS]
        if foreign:
            yield f"/etc/hosts names {foreign[0]}"
    for name, _ in image.config.env:
        if name.lower().endswith("_proxy") or name in {
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        }:
            yield f"the environment sets {name}"


def _apt(image: StaticImage) -> Iterator[str]:
    for entry in image.rootfs:
        if entry.path == "etc/apt/sources.list" or entry.path.startswith("etc/apt/sources.list.d/"):
            if any(_lines(entry)):
                yield f"{printable(entry.path)} names the package source of the build"
        elif entry.path.startswith("etc/apt/apt.conf") and any(map(_APT_SETTING.search, _lines(entry))):
            yield f"{printable(entry.path)} sets a proxy or its certificates"


def _lines(entry: Entry | None) -> Iterator[str]:
    """Yield the lines of a kept file that say something."""
    for line in entry.read_text().splitlines() if entry else ():
        if line.strip() and not line.strip().startswith(("#", "//")):
            yield line


def _named(image: StaticImage, expect: Expectations, words: tuple[str, ...]) -> Iterator[str]:
    """Search texts anywhere, and what the recipe compiled, in every layer: what a later layer hides is still sent."""
    root = expect.app.strip("/") + "/"
    for entry in image.rootfs.history():
        if entry.content is None or not entry.size:
            continue
        if entry.head == ELF_MAGIC and (not entry.path.startswith(root) or is_vendor(entry.path)):
            continue
        with entry.content.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for word in words:
                if _holds(data, word.encode()):
                    yield f"{printable(entry.path)} names the build host: '{word}'"


def _holds(data: mmap.mmap, word: bytes) -> bool:
    """Say whether a word stands there by itself, not as part of a longer one."""
    at = data.find(word)
    while at >= 0:
        before, after = data[max(at - 1, 0) : at], data[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() and word[:1].isalnum()) and not after.isalnum():
            return True
        at = data.find(word, at + 1)
    return False
