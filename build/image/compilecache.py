"""The compile cache as a file: out of BuildKit's cache mount, which lives and dies with a builder, and back into another's.

For machines that are new for every run. Only hits and misses depend on it: what a compiler makes from equal input is equal.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from build.doors import store
from build.doors.bakefile import BakeTarget, bake_json
from build.doors.effects import Builder, Reporter
from build.doors.templates import render
from build.image.model import megabytes
from build.pin.model import PinnedImage

__all__ = ["CompileCache", "KeptCache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCache:
    """What was carried."""

    cuda: str
    file: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileCache:
    """The compile cache of one toolchain."""

    cuda: str
    toolchain: PinnedImage
    layout: Path
    """The toolchain's."""
    folder: Path
    """Where the file is kept."""
    templates: Path

    @property
    def file(self) -> Path:
        """The cache's own file; each toolchain has one."""
        return self.folder / f"{self.toolchain.lock[:12]}.tar"

    def keep(self, builder: Builder, reporter: Reporter) -> KeptCache:
        """Write the file. A kill leaves the one before, or this one."""
        with reporter.step(f"keep the compile cache of CUDA {self.cuda}") as step:
            work = self._bake("keep", builder, ())
            (work / "out" / "ccache.tar").replace(self.file)
            kept = self._kept()
            step.verdict(megabytes(kept.size))
        store.discard(work)
        return kept

    def restore(self, builder: Builder, reporter: Reporter) -> KeptCache | None:
        """Fill the builder's cache from the file; None where there is no file."""
        if not self.file.is_file():
            reporter.note(f"no compile cache of CUDA {self.cuda} was kept: {self.file} is not there")
            return None
        with reporter.step(f"restore the compile cache of CUDA {self.cuda}") as step:
            # A folder that holds this file alone, under the name that the Dockerfile knows.
            context = self.folder / f".{self.toolchain.lock[:12]}.kept"
            store.discard(context)
            context.mkdir()
            (context / "ccache.tar").hardlink_to(self.file)
            work = self._bake("restore", builder, (("kept", str(context)),))
            step.verdict(f"{(work / 'out' / 'files').read_text().strip()} files")
            store.discard(context)
        store.discard(work)
        return self._kept()

    def _kept(self) -> KeptCache:
        return KeptCache(cuda=self.cuda, file=str(self.file), size=self.file.stat().st_size)

    def _bake(self, stage: str, builder: Builder, contexts: tuple[tuple[str, str], ...]) -> Path:
        work = self.folder / f".{self.toolchain.lock[:12]}.{stage}"
        store.discard(work)
        text = render(self.templates, "compilecache.Dockerfile.j2", toolchain_lock=self.toolchain.lock)
        store.write_text(work / "Dockerfile", text)
        # A step that was run before is not run again otherwise, whatever is in the mount by now. (--no-cache would also give
        # it a new, empty mount.)
        store.write_text(work / "context" / "run", uuid4().hex)
        target = BakeTarget(
            name=stage,
            context=str(work / "context"),
            dockerfile="../Dockerfile",
            stage=stage,
            contexts=(("toolchain", f"oci-layout://{self.layout}@{self.toolchain.digest}"), *contexts),
            output=str(work / "out"),
            kind="local",
            platform=self.toolchain.platform,
        )
        store.write_text(work / "docker-bake.json", bake_json(target))
        builder.bake(
            work / "docker-bake.json",
            (stage,),
            cwd=work,
            log=work / "build.log",
            on_event=lambda _event: None,
        )
        return work
