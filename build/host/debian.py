"""Programs from the distribution's own archive, unpacked aside: nothing that is installed is replaced."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import IngotError, Unavailable

__all__ = [
    "SYSTEM_PATH",
    "Archive",
    "ensure_installed",
    "ensure_unpacked",
    "own_codename",
    "parse_sources",
    "read_archive",
]

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the system's programs are, also where the caller's PATH has no sbin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where this host gets its Debian packages."""

    uri: str
    codename: str
    signed_by: str = ""

    @property
    def security(self) -> str:
        """Where the security suite lies: beside the archive, with `debian-security` in the place of `debian`."""
        before, found, after = self.uri.rstrip("/").rpartition("/debian")
        return f"{before}/debian-security{after}" if found else f"{after}/debian-security"

    def lines(self, suites: tuple[str, ...]) -> str:
        """Write a sources.list that takes `suites` from the same place."""
        option = f" [signed-by={self.signed_by}]" if self.signed_by else ""
        return "".join(f"deb{option} {self.uri} {suite} main\n" for suite in suites)


def own_codename(os_release: str) -> str:
    """Find VERSION_CODENAME in the text of os-release; empty where there is none."""
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', os_release, re.MULTILINE)
    return found.group(1) if found else ""


def parse_sources(text: str, *, codename: str) -> Archive | None:
    """Find the archive that carries `codename`'s main component, in deb822 or one-line format."""
    return _one_line(text, codename) or _deb822(text, codename)


def _one_line(text: str, codename: str) -> Archive | None:
    pattern = re.compile(
        rf"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+{codename}\s+(?:\S+\s+)*?main\b", re.MULTILINE
    )
    found = pattern.search(text)
    if not found:
        return None
    signed = re.search(r"signed-by=(\S+)", found["options"] or "")
    return Archive(uri=found["uri"], codename=codename, signed_by=signed.group(1) if signed else "")


def _deb822(text: str, codename: str) -> Archive | None:
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            key.lower(): value.strip()
            for key, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE)
        }
        fits = (
            "deb" in fields.get("types", "").split()
            and codename in fields.get("suites", "").split()
            and "main" in fields.get("components", "").split()
            and fields.get("enabled", "yes").lower() != "no"
        )
        if fits and fields.get("uris"):
            keyring = fields.get("signed-by", "")
            return Archive(
                uri=fields["uris"].split()[0],
                codename=codename,
                signed_by=keyring if keyring.startswith("/") else "",
            )
    return None


def read_archive(etc: Path = Path("/etc")) -> Archive:
    """Read this host's sources.

    Raises:
        Unavailable: this is no Debian, or no source of it was understood.
    """
    release = etc / "os-release"
    codename = own_codename(release.read_text()) if release.exists() else ""
    if not codename or not shutil.which("apt-get"):
        message = "a private engine is made from Debian's packages, and this host is not a Debian"
        raise Unavailable(
            message, hint="install Docker with buildx and the containerd image store, then INGOT_ENGINE=host"
        )
    folder = etc / "apt" / "sources.list.d"
    files = [etc / "apt" / "sources.list", *sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]
    for file in files:
        archive = parse_sources(file.read_text(), codename=codename) if file.is_file() else None
        if archive:
            return archive
    message = f"no apt source under {etc}/apt carries the main component of {codename}"
    raise Unavailable(message, hint=f"add it to {etc}/apt/sources.list.d, then try again")


def ensure_unpacked(packages: tuple[str, ...], *, into: Path, archive: Archive) -> bool:
    """Unpack `name/suite` packages under `into`, once. Returns whether anything was done."""
    wanted = store.sha256_text("\n".join((archive.uri, *packages)))
    stamp = into / ".complete"
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    with store.locked(into.with_name(f"{into.name}.lock")):
        if stamp.is_file() and stamp.read_text() == wanted:
            return False
        part = into.with_name(f".{into.name}.part")
        store.discard(part)
        root = part / "root"
        root.mkdir(parents=True)
        _fetch(packages, state=part / "apt", archive=archive)
        for deb in sorted((part / "apt").glob("*.deb")):
            process.run(("dpkg", "-x", str(deb), str(root)))
        store.write_text(root / ".complete", wanted)
        store.replace_dir(root, into)
        store.discard(part)
    return True


def _fetch(packages: tuple[str, ...], *, state: Path, archive: Archive) -> None:
    """Download packages with an apt state of our own: the host's lists and sources stay as they are."""
    (state / "lists" / "partial").mkdir(parents=True)
    (state / "cache" / "archives" / "partial").mkdir(parents=True)
    suites = tuple(sorted({package.partition("/")[2] for package in packages}))
    store.write_text(state / "sources.list", archive.lines(suites))
    options = (
        "-qq",
        "-o", f"Dir::Etc::sourcelist={state / 'sources.list'}",
        "-o", "Dir::Etc::sourceparts=-",
        "-o", "Dir::Etc::preferencesparts=/dev/null",
        "-o", f"Dir::State::lists={state / 'lists'}",
        "-o", f"Dir::Cache={state / 'cache'}",
        "-o", "APT::Sandbox::User=root",
        "-o", "Acquire::Retries=3",
        "-o", "APT::Update::Error-Mode=any",
    )  # fmt: skip
    hint = f"the packages come from {archive.uri}; see that it can be reached from this host"
    try:
        process.run(("apt-get", *options, "update"), cwd=state, hint=hint)
        process.run(("apt-get", *options, "download", *packages), cwd=state, hint=hint)
    except IngotError as error:
        message = f"the engine's packages cannot be downloaded: {error.message}"
        raise Unavailable(message, hint=hint) from error


def ensure_installed(programs: tuple[tuple[str, str], ...], reporter: Reporter) -> None:
    """Install the packages of programs that are not there; `programs` are (program, package)."""
    missing = tuple(
        sorted({package for program, package in programs if not shutil.which(program, path=SYSTEM_PATH)})
    )
    if missing:
        install(missing, reporter)


def install(packages: tuple[str, ...], reporter: Reporter) -> None:
    """Install Debian packages with the host's own apt, saying so."""
    reporter.note(f"installing {' '.join(packages)} with apt-get")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    hint = f"apt-get install {' '.join(packages)}"
    try:
        process.run(("apt-get", "-qq", "update"), env=environment)
        argv = ("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *packages)
        process.run(argv, env=environment)
    except IngotError as error:
        message = f"{' '.join(packages)} cannot be installed: {error.message}"
        raise Unavailable(message, hint=hint) from error
