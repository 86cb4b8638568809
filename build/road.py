"""The road from a recipe to a pushed image, one station after the other, each leaving its artifact below out/.

Calls the stations and decides what need not be done again. No rule of a station lives here.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from build.doors import store
from build.doors.checkout import checkout_state
from build.doors.process import Command
from build.errors import IngotError
from build.image.build import build_image, find_built, rendered, write_rendered
from build.image.model import BuiltImage
from build.onward import Onward
from build.pin.model import Pin
from build.pin.moved import Moved, moved
from build.plan.model import ImagePlan
from build.plan.plan import Places, make_plan, unpinned
from build.publish.kept import PUBLISHED
from build.recipe.effective import effective
from build.recipe.model import Recipe
from build.recipe.naming import directory_name
from build.report.operands import published_difference
from build.report.times import BuildTimes, expected
from build.report.write import FILES, TIMES, discard_report
from build.several import Call, SeveralFailed, each, together
from build.smoke.model import SmokeReport
from build.smoke.run import covers, expectations_of
from build.wiring import Busy

__all__ = ["Resolved", "Road"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A proven pin, and what moved since the one before it, or else since the published one."""

    pin: Pin
    moved: tuple[Moved, ...]


@dataclass(kw_only=True)
class Road(Onward):
    """One run of the pipeline on one machine."""

    force: bool = False
    """Build and smoke-test even what is done already."""

    # Stations.

    def render(self, recipe: Recipe, variant: str) -> ImagePlan:
        """Write Dockerfile and bake file from the tree alone; digests are zeros where no pin is there."""
        with self._alone(recipe, variant) as out:
            whole = effective(recipe, variant)
            known = store.read_known(out / "pin.json", Pin)
            pin = known if known and known.inputs == self.resolver.inputs(whole) else None
            lock = self.resolver.toolchain_lock(whole)
            plan = self._planned(recipe, variant, pin or unpinned(whole, toolchain_lock=lock, base_lock=""))
            write_rendered(plan, out)
        self.reporter.note(f"{plan.name}: {out / 'Dockerfile'}")
        if pin is None:
            words = f"{recipe.name} --variant {variant}" if variant else recipe.name
            message = (
                f"{plan.name}: its bake file cannot be built yet: nothing is pinned, so it has no digests"
            )
            self.reporter.note(f"{message}; `nox -s plan -- {words}` writes one that can")
        return plan

    def resolve(self, recipe: Recipe, variant: str) -> Resolved:
        """Prove the pin and write pin.json."""
        with self._alone(recipe, variant) as out:
            resolved = self._resolve(recipe, variant, out)
            self.resolver.prove(effective(recipe, variant), resolved.pin)
            return resolved

    def plan(self, recipe: Recipe, variant: str) -> ImagePlan:
        """Resolve, plan, write plan.json and what was rendered."""
        with self._alone(recipe, variant) as out:
            plan = self._plan(recipe, variant, out)
            state = "is built" if find_built(plan, out) else "is not built yet"
            self.reporter.note(f"{plan.name}: {plan.tag} {state}: {out / 'plan.json'}")
            return plan

    def image(self, recipe: Recipe, variant: str) -> BuiltImage:
        """Make sure that the image is built and has passed smoke; does nothing where that is so already."""
        with self._alone(recipe, variant) as out:
            return self._image(recipe, variant, out)

    def side_by_side(self, recipes: tuple[Recipe, ...], variant: str, *, at_once: int) -> list[Any]:
        """Do what `image` does for several recipes side by side, each in a process of its own; returns what they made.

        All are planned first, in this process: toolchain and base are made once. Those that another run works on come
        last, unplanned: their processes wait for that run, the others do not.

        Raises:
            SeveralFailed: at least one failed.
        """
        planned: list[Recipe] = []
        busy: list[Recipe] = []
        failures: dict[str, IngotError] = {}

        def plan(recipe: Recipe) -> None:
            try:
                with self._alone(recipe, variant, wait=False) as out:
                    self._plan(recipe, variant, out)
            except Busy as error:
                self.reporter.note(f"{error.message}, so it comes last")
                busy.append(recipe)
            else:
                planned.append(recipe)

        try:
            each(((recipe.name, partial(plan, recipe)) for recipe in recipes), self.reporter)
        except SeveralFailed as error:
            failures |= error.failures
        # Who begins late may work alone at the end: that should be the short ones.
        planned.sort(key=lambda recipe: expected(self._times(recipe, variant)), reverse=True)
        made: list[Any] = []
        try:
            calls = [self._call(recipe, variant) for recipe in (*planned, *busy)]
            made = together(calls, self.reporter, at_once=at_once)
        except SeveralFailed as error:
            made = error.done
            failures |= error.failures
        if failures:
            raise SeveralFailed(failures, made)
        order = [recipe.name for recipe in recipes]
        return sorted(made, key=lambda image: order.index(image["recipe"]))

    def refresh(self, locks: tuple[str, ...]) -> list[str]:
        """Rewrite committed locks; returns the files that changed."""
        from build.pin.refresh import Refresh

        refresh = Refresh(
            root=self.settings.root, cache=self.settings.cache, reporter=self.reporter, digest_of=self.digest
        )
        return refresh.refresh(locks)

    def _times(self, recipe: Recipe, variant: str) -> tuple[BuildTimes, ...]:
        return store.read_lines(self._out(recipe, variant) / TIMES, BuildTimes)

    def _call(self, recipe: Recipe, variant: str) -> Call:
        words = (
            *(("--variant", variant) if variant else ()),
            *(("--force",) if self.force else ()),
            *(("--builder", self.settings.builder) if self.settings.builder else ()),
        )
        argv = (sys.executable, "-m", "build", "image", recipe.name, *words, "--json")
        name = directory_name(recipe.name, variant)
        return Call(name=name, command=Command(argv=argv, cwd=self.settings.root))

    # Parts. Who calls them holds the lock of the image's folder.

    @contextmanager
    def _alone(self, recipe: Recipe, variant: str, *, wait: bool = True) -> Iterator[Path]:
        """Hold an image's folder: two runs of one image wait for each other; the second then finds things done."""
        out = self._out(recipe, variant)
        with self.alone(out, wait=wait):
            yield out

    def _resolve(self, recipe: Recipe, variant: str, out: Path) -> Resolved:
        known = store.read_known(out / "pin.json", Pin)
        pin = self.resolver.resolve(effective(recipe, variant), known=known)
        if pin != known:
            store.write_artifact(out / "pin.json", pin)
        compiler = pin.toolchain.origin if pin.toolchain else "from wheels, nothing is compiled"
        self.reporter.note(
            f"{out.name}: base {pin.base.origin}; toolchain CUDA {recipe.toolchain.cuda}, {compiler}"
        )
        # pin.json is overwritten by who comes first; what the next push would move is said until it ships.
        published = store.read_known(out / PUBLISHED / "pin.json", Pin)
        before = published if known is None or known == pin else known
        changes = moved(before, pin) if before else ()
        for one in changes:
            self.reporter.note(f"{out.name}: {one}")
        return Resolved(pin=pin, moved=changes)

    def _plan(self, recipe: Recipe, variant: str, out: Path) -> ImagePlan:
        plan = self._planned(recipe, variant, self._resolve(recipe, variant, out).pin)
        if not rendered(plan, out):
            write_rendered(plan, out)
        if store.read_known(out / "plan.json", ImagePlan) != plan:
            store.write_artifact(out / "plan.json", plan)
        return plan

    def _image(self, recipe: Recipe, variant: str, out: Path) -> BuiltImage:
        plan = self._plan(recipe, variant, out)
        built = None if self.force else find_built(plan, out)
        report = store.read_known(out / "smoke.json", SmokeReport)
        if built and covers(report, built, expectations_of(plan)):
            self.reporter.note(f"{plan.name}: nothing to do, {plan.tag} is built and has passed smoke")
            if not all((out / name).exists() for name in FILES):  # a kill came between smoke.json and them
                self._report(plan, built, out, published_difference(out))
            return built
        if built is None:
            # Where nothing is to be built nothing of it is read: a run without work does not pay for this.
            if plan.pin.toolchain:
                self.images.before_compilers()
            self.resolver.prove(effective(recipe, variant), plan.pin)
            discard_report(out)
            built = build_image(
                plan,
                out,
                root=self.settings.root,
                builder=self.buildx,
                reporter=self.reporter,
                checkout=checkout_state(self.settings.root),
                cache=self.layer_cache,
                engine={"engine": self.containers.info().version, "buildkit": self.buildx.inspect().buildkit},
            )
        self._smoke(plan, built, out)
        return built

    def _out(self, recipe: Recipe, variant: str) -> Path:
        return self.settings.out / directory_name(recipe.name, variant)

    def _planned(self, recipe: Recipe, variant: str, pin: Pin) -> ImagePlan:
        whole = effective(recipe, variant)
        places = Places(
            root=self.settings.root,
            out=self._out(recipe, variant),
            folders=self.resolver.contexts(whole, pin),
            layouts=self.resolver.layouts(whole, pin),
        )
        return make_plan(whole, variant, pin, templates=self.templates, places=places)
