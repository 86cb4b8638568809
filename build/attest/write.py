"""Writes what is said beside an image: sbom.cdx.json and provenance.json, from its artifacts, its layers and the locks."""

from dataclasses import dataclass
from pathlib import Path

from build.attest.contents import read_contents
from build.attest.model import PROVENANCE, SBOM, Attested
from build.attest.provenance import BuildFacts, provenance
from build.attest.sbom import Materials, sbom
from build.attest.wheels import Wheel, read_wheels
from build.doors import store
from build.doors.effects import Reporter
from build.errors import WorkFailed
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.patches import prove_patches
from build.pin.wheels import fetch_wheels
from build.plan.model import ImagePlan
from build.recipe.model import PackagesSource

__all__ = ["Attestor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestor:
    """Where it finds what an image was made from."""

    root: Path
    cache: Path
    toolchains: Path
    images: ImageStore
    reporter: Reporter

    def write(self, out: Path, plan: ImagePlan, built: BuiltImage, *, subject: str) -> Attested:
        """Write both about the image below `out`, which a registry is to call `subject`. Who calls holds the folder's lock.

        Raises:
            WorkFailed: locks or patches are not those that the image was made from any more.
            Unreachable: the CUDA wheels are not below the cache, and the package index did not answer.
        """
        locks, wheels = self._compiler(plan)
        prove_patches(self.root / "patches", plan.pin.source)
        with self.reporter.step(f"{plan.name}: bill of materials and provenance"):
            patches = (proof.file for proof in plan.pin.source.patches)
            bill = sbom(
                Materials(
                    plan=plan,
                    built=built,
                    contents=read_contents(open_layout(out / "image"), self.cache / "attest"),
                    wheels=wheels,
                    patches={file: (self.root / "patches" / file).read_bytes() for file in patches},
                )
            )
            named = tuple(
                (path.relative_to(self.root).as_posix(), store.sha256_file(path))
                for path in (*locks, self.toolchains / "debian.json")
            )
            statement = provenance(
                BuildFacts(subject=subject, plan=plan, built=built, locks=named, wheels=wheels)
            )
            for name, text in ((SBOM, bill), (PROVENANCE, statement)):
                store.write_text(out / name, text)
        return Attested(
            name=plan.name,
            digest=str(built.digest),
            files=tuple(str(out / name) for name in (SBOM, PROVENANCE)),
        )

    def _compiler(self, plan: ImagePlan) -> tuple[tuple[Path, ...], tuple[Wheel, ...]]:
        """Return the locks that the image was made with, and the wheels whose libraries may be in it.

        An image of wheels names them in its pin, by their lock; nothing is compared with their records.
        """
        if isinstance(plan.recipe.source, PackagesSource):
            return (self.root / "recipes" / plan.recipe.source.packages,), ()
        if plan.pin.toolchain is None:
            return (), ()
        cuda = read_cuda_lock(self.toolchains, plan.recipe.toolchain.cuda)
        found = self.images.toolchain_lock(cuda, read_debian_lock(self.toolchains))
        if found != plan.pin.toolchain.lock:
            message = f"{plan.name} was built with the toolchain {plan.pin.toolchain.lock}, the locks now give {found}"
            raise WorkFailed(
                message, hint=f"build it with the locks as they are: nox -s build -- {plan.name}"
            )
        return (cuda.path,), read_wheels(fetch_wheels(cuda, "x86_64", self.cache, self.reporter))
