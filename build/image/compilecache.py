"""The compile cache as a file: out of BuildKit's cache mount, which lives and dies with a builder, and back into another's.

For machines that are new for every run. Only hits and misses depend on it: what a compiler makes from equal input is equal.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from build.doors import store
from build.doors.bakefile import BakeTarget, bake_json
from build.doors.effects import Builder, Reporter
from build.doors.templates import render
from build.image.model import megabytes
from build.pin.model import PinnedImage

__all__ = ["MAX_SIZE", "CompileCache", "KeptCache"]

MAX_SIZE: Final = 2_000_000_000
"""Bytes that are kept where nobody says how many: a whole compile of llama.cpp takes some 50 MB. While it is carried the file
is on the disk up to five times (file before, file after, context, mount, layer), and a free runner has 14 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCache:
    """What was carried."""

    cuda: str
    file: str
    size: int
    """Bytes."""
    left_out: int = 0
    """Bytes that did not fit when it was kept, of what nobody had asked for the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileCache:
    """The compile cache of one toolchain."""

    cuda: str
    lock: str
    """The toolchain's; the file and the mount are named after it."""
    toolchain: Callable[[], tuple[PinnedImage, Path]]
    """Gives the toolchain and its layout, made if need be, when its programs are really needed."""
    builder: Callable[[], Builder]
    """Gives BuildKit when it is really needed."""
    reporter: Reporter
    folder: Path
    """Where the file is kept."""
    templates: Path

    @property
    def file(self) -> Path:
        """The cache's own file; each toolchain has one."""
        return self.folder / f"{self.lock[:12]}.tar"

    def keep(self, *, max_size: int = MAX_SIZE) -> KeptCache | None:
        """Write the file; None where there is nothing to keep. A kill leaves the one before, or this one."""
        with self._alone(), self.reporter.step(f"keep the compile cache of CUDA {self.cuda}") as step:
            work = self._bake("keep", (), max_size=max_size)
            packed = work / "out" / "kept"
            entries, _, out, left_out = map(int, (packed / "counts").read_text().split())
            if entries:
                (packed / "ccache.tar").replace(self.file)
            kept = self._kept(left_out) if entries else None
            step.verdict(megabytes(kept.size) if kept else "nothing to keep")
            store.discard(work)
        if out:
            self.reporter.note(
                f"left out: {out} entries, {megabytes(left_out)}, that nobody has asked for the longest; "
                f"at most {megabytes(max_size)} are kept (--max-size)"
            )
        if not (kept or out):
            self.reporter.note(
                f"the builder has no compile cache of CUDA {self.cuda}; a file of before stays"
            )
        return kept

    def restore(self) -> KeptCache | None:
        """Fill the builder's cache from the file; None where there is none, or one that nobody can read, which is removed."""
        with self._alone():
            if not self.file.is_file():
                self.reporter.note(f"no compile cache of CUDA {self.cuda} was kept: {self.file} is not there")
                return None
            with self.reporter.step(f"restore the compile cache of CUDA {self.cuda}") as step:
                entries, damage = self._unpack()
                if not damage:
                    step.verdict(f"{entries} entries")
                    return self._kept(0)
                store.discard(self.file)
                step.verdict("damaged")
            self.reporter.warning(
                f"{self.file} was no whole archive ({damage}) and is removed: builds compile anew, "
                "and the next `keep` writes it anew"
            )
        return None

    def _unpack(self) -> tuple[int, str]:
        """Add the file to the builder's cache; return how many entries that then has, or what is wrong with the file."""
        # A folder that holds this file alone, under the name that the Dockerfile knows.
        context = self.folder / f".{self.lock[:12]}.kept"
        store.discard(context)
        context.mkdir()
        (context / "ccache.tar").hardlink_to(self.file)
        work = self._bake("restore", (("kept", str(context)),))
        entries, damage = work / "out" / "entries", work / "out" / "damage"
        found = (
            (0, damage.read_text(errors="replace").partition("\n")[0] or "tar cannot read it")
            if damage.exists()
            else (int(entries.read_text()), "")
        )
        store.discard(context)
        store.discard(work)
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self.folder / f".{self.lock[:12]}.lock"
        said = f"waiting for another run that carries the compile cache of CUDA {self.cuda}"
        with store.locked(lock, waits=lambda: self.reporter.note(said)):
            yield

    def _kept(self, left_out: int) -> KeptCache:
        return KeptCache(
            cuda=self.cuda, file=str(self.file), size=self.file.stat().st_size, left_out=left_out
        )

    def _bake(self, stage: str, contexts: tuple[tuple[str, str], ...], *, max_size: int = MAX_SIZE) -> Path:
        toolchain, layout = self.toolchain()
        work = self.folder / f".{self.lock[:12]}.{stage}"
        store.discard(work)
        text = render(
            self.templates, "compilecache.Dockerfile.j2", toolchain_lock=self.lock, max_size=max_size
        )
        store.write_text(work / "Dockerfile", text)
        for script in ("pack-ccache.sh", "unpack-ccache.sh"):
            store.write_text(
                work / "context" / script, (self.templates / "scripts" / script).read_text(encoding="utf-8")
            )
        # A step that was run before is not run again otherwise, whatever is in the mount by now. (--no-cache would also give
        # it a new, empty mount.)
        store.write_text(work / "context" / "run", uuid4().hex)
        target = BakeTarget(
            name=stage,
            context=str(work / "context"),
            dockerfile="../Dockerfile",
            stage=stage,
            contexts=(("toolchain", f"oci-layout://{layout}@{toolchain.digest}"), *contexts),
            output=str(work / "out"),
            kind="local",
            platform=toolchain.platform,
        )
        store.write_text(work / "docker-bake.json", bake_json(target))
        self.builder().bake(
            work / "docker-bake.json",
            (stage,),
            cwd=work,
            log=work / "build.log",
            on_event=lambda _event: None,
        )
        return work
