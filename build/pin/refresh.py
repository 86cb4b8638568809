"""Refresh of the committed locks. The one module of this station that writes tracked files, each as a whole or one line."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import BadRequest, CommandFailed, Unreachable
from build.pin.locks import locked_versions, read_debian_lock
from build.pin.sample import SAMPLES_URL, sample_commit
from build.pin.samplewheel import ensure_sample_wheel

__all__ = ["Refresh", "as_of", "cuda_requirement", "lock_text", "package_lock_text", "with_commit"]

_COMPONENTS = ("nvcc", "crt", "nvvm", "cudart", "cublas", "cccl")
"""Extras of cuda-toolkit. crt and nvvm must be named: nvcc's own requirement on them has no version."""

_TARGET = (
    "--python-version",
    "3.11",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
)

_NO_SOLUTION = 1
"""uv's status where the index answered and nothing that it has fits; another one where something else failed."""


def cuda_requirement(version: str) -> str:
    """Write the requirement whose resolution is the lock of a CUDA version, given as `13.0`. Pure."""
    return f"cuda-toolkit[{','.join(_COMPONENTS)}]=={version}.*"


def lock_text(version: str, resolved: str) -> str:
    """Write a CUDA lock around what was resolved. Pure."""
    return (
        f"# CUDA {version} for the toolchain image: NVIDIA's own wheels, every file by its SHA-256, for x86_64 and aarch64 "
        f"build hosts.\n# Refresh: nox -s pins -- {version}\n{resolved}"
    )


def package_lock_text(asked: str, resolved: str) -> str:
    """Write the lock of an `.in` file around what was resolved. Pure."""
    stem = asked.removesuffix(".in")
    return (
        f"# Lock of {asked}: CPython 3.11 on Debian 12, x86_64, every file by its SHA-256.\n"
        f"# Refresh: nox -s pins -- {stem}\n{resolved}"
    )


def as_of(name: str, text: str) -> tuple[str, ...]:
    """Read the day out of an `.in` file and say what uv resolves for. Pure.

    A server of last year is locked with the packages of its own time: newer majors of what it needs break it.

    Raises:
        BadRequest: the file names no day.
    """
    day = re.search(r"^# as of ([0-9]{4}-[0-9]{2}-[0-9]{2})$", text, re.MULTILINE)
    if day is None:
        message = f"{name} does not say which day's index it is locked by"
        raise BadRequest(message, hint="add a line `# as of YYYY-MM-DD`")
    return ("--exclude-newer", day[1], "--only-binary", ":all:", "--python-platform", "x86_64-manylinux_2_36")


def with_commit(recipe: str, repo: str, commit: str) -> str:
    """Replace the commit that stands below a repository in a recipe's text, and nothing else. Pure."""
    block = rf"^(?P<head>(?P<in> +)repo: {re.escape(repo)}\n(?:(?P=in).*\n| *#.*\n)*?(?P=in)commit: )[0-9a-f]{{40}}$"
    return re.sub(block, rf"\g<head>{commit}", recipe, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Rewrites locks from what the world offers now."""

    root: Path
    cache: Path
    reporter: Reporter
    digest_of: Callable[[str], str | None]
    """Asks the registry for the digest of `debian:bookworm-slim`; None where it has no such tag."""

    def refresh(self, names: tuple[str, ...]) -> list[str]:
        """Refresh the named locks, or all of them. Returns the files that changed.

        Raises:
            BadRequest: a name is no lock.
            Unreachable: the package index or the registry did not answer.
        """
        toolchains = self.root / "recipes" / "toolchains"
        cuda = [path.stem.removeprefix("cuda-") for path in sorted(toolchains.glob("cuda-*.txt"))]
        packages = {path.stem: path for path in sorted((self.root / "recipes" / "packages").glob("*.in"))}
        known = (*cuda, *packages, "python", "debian", "samples")
        changed: list[Path] = []
        for name in names or known:
            if re.fullmatch(r"\d+\.\d+", name):
                changed += self._write(toolchains / f"cuda-{name}.txt", self._cuda(name))
            elif name in packages:
                changed += self._write(packages[name].with_suffix(".txt"), self._packages(packages[name]))
            elif name == "python":
                changed += self._write(self.root / "requirements.txt", self._python())
            elif name == "debian":
                changed += self._debian(toolchains)
            elif name == "samples":
                changed += self._samples()
            else:
                message = f"there is no lock called {name}"
                raise BadRequest(message, hint=f"locks: {', '.join(known)}")
        return [str(path.relative_to(self.root)) for path in changed]

    def _write(self, path: Path, text: str) -> list[Path]:
        same = path.exists() and path.read_text(encoding="utf-8") == text
        self.reporter.note(f"{path.name}: {'unchanged' if same else 'rewritten'}")
        if not same:
            store.write_text(path, text)
        return [] if same else [path]

    def _uv(self, requirement: str | Path, *options: str) -> str:
        source = str(requirement) if isinstance(requirement, Path) else "-"
        command = (
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "compile",
            "--quiet",
            "--generate-hashes",
            *_TARGET,
            *options,
            source,
        )
        stdin = None if isinstance(requirement, Path) else requirement.encode()
        try:
            with self.reporter.step(f"resolve {requirement if stdin else source}"):
                return process.run(command, stdin=stdin, cwd=self.root).stdout
        except CommandFailed as error:
            said = error.output.strip()
            if error.status == _NO_SOLUTION:
                message = f"the package index has nothing that fits {requirement}:\n{said}"
                raise BadRequest(message, hint="is the version published, and the index complete?") from error
            message = f"the package index has no answer for {requirement}:\n{said}"
            raise Unreachable(message, hint="is the index reachable?") from error

    def _cuda(self, version: str) -> str:
        return lock_text(
            version, self._uv(cuda_requirement(version), "--python-platform", "x86_64-manylinux_2_28")
        )

    def _packages(self, asked: Path) -> str:
        """Lock what an `.in` file asks for, as the index was on the day that the file names."""
        text = asked.read_text(encoding="utf-8")
        made = [
            ensure_sample_wheel(package, self.root / "samples", self.cache)
            for package in locked_versions(text)
        ]
        options = [f"--find-links={wheel.parent}" for wheel in made if wheel]
        return package_lock_text(asked.name, self._uv(asked, *options, *as_of(asked.name, text)))

    def _python(self) -> str:
        header = (
            "# Universal lock of requirements.in, Python 3.11 and later. Refresh: nox -s pins -- python\n"
        )
        return header + self._uv(self.root / "requirements.in", "--universal", "--upgrade")

    def _debian(self, toolchains: Path) -> list[Path]:
        lock = read_debian_lock(toolchains)
        digest = self.digest_of(lock.image)
        if digest is None:
            message = f"the registry has no {lock.image}"
            raise BadRequest(message, hint="correct `image` in recipes/toolchains/debian.json")
        path = toolchains / "debian.json"
        before = path.read_text(encoding="utf-8")
        return self._write(path, before.replace(lock.digest, replace(lock, digest=digest).digest))

    def _samples(self) -> list[Path]:
        changed = []
        for path in sorted((self.root / "recipes").glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            wanted = text
            for name in re.findall(
                rf"^ +repo: {re.escape(SAMPLES_URL)}([a-z0-9-]+)\.git$", text, re.MULTILINE
            ):
                repository = self.cache / "samples" / f"{name}.git"
                commit = sample_commit(self.root / "samples" / name, repository)
                wanted = with_commit(wanted, f"{SAMPLES_URL}{name}.git", commit)
            if wanted != text:
                changed += self._write(path, wanted)
        return changed
