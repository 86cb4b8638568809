"""Recipe and pin to plan: fills in, renders, fingerprints, names. Reads templates; writes nothing."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from build.doors.bakefile import BakeTarget, bake_json
from build.pin.model import Pin, PinnedImage, PinnedSource
from build.plan.fingerprint import fingerprint, inputs
from build.plan.labels import labels
from build.plan.model import ImagePlan, compression, directory_name
from build.plan.render import render_context, render_dockerfile
from build.recipe.model import CMakeOption, Origin, Recipe, SmokeEndpoint, Step
from build.recipe.naming import immutable_tag, moving_tags
from build.recipe.placeholders import fill
from build.recipe.refs import Digest
from build.recipe.sources import commit_of

__all__ = ["Places", "filled", "make_plan", "unpinned"]


def unpinned(recipe: Recipe, *, toolchain_lock: str, base_lock: str) -> Pin:
    """Return a pin that proves nothing, to render what depends on the tree alone. Its digests are zeros."""
    nothing = Digest("sha256:" + "0" * 64)
    source = PinnedSource(url="", commit=commit_of(recipe.source), committed_at="", tree="", patched_tree="")
    base = PinnedImage(lock=base_lock, digest=nothing, origin="not resolved", packages=())
    toolchain = replace(base, lock=toolchain_lock) if toolchain_lock else None
    return Pin(recipe=recipe.name, inputs="", source=source, toolchain=toolchain, base=base)


class Places:
    """Where the things that a bake file names lie, as text for the file: relative to the root wherever possible."""

    def __init__(
        self,
        *,
        root: Path,
        out: Path,
        folders: Iterable[tuple[str, Path]] = (),
        layouts: Iterable[tuple[str, Path, Digest]] = (),
    ) -> None:
        self._root = root
        self.out = self.text(out)
        self.contexts = (
            *((name, f"oci-layout://{self.text(path)}@{digest}") for name, path, digest in layouts),
            *((name, self.text(path)) for name, path in folders),
        )

    def text(self, path: Path) -> str:
        """Write a path as bake, called from the root, reads it."""
        if path.is_relative_to(self._root):
            return os.fspath(path.relative_to(self._root))
        return os.fspath(path)


def filled(recipe: Recipe) -> Recipe:
    """Fill in every placeholder that the pin knows. `{model}` and `{port}` stay for the day the image runs."""

    def text(value: str) -> str:
        return fill(value, recipe, model="{model}", port="{port}")

    def options(cmake: tuple[CMakeOption, ...]) -> tuple[CMakeOption, ...]:
        return tuple(replace(option, value=text(option.value)) for option in cmake)

    def step(one: Step) -> Step:
        return replace(one, cmake=options(one.cmake))

    smoke = replace(
        recipe.smoke,
        version=text(recipe.smoke.version),
        endpoints=tuple(
            SmokeEndpoint(path=one.path, expect=text(one.expect)) for one in recipe.smoke.endpoints
        ),
        args=tuple(text(word) for word in recipe.smoke.args),
    )
    return replace(
        recipe,
        image=replace(recipe.image, tags=tuple(text(tag) for tag in recipe.image.tags)),
        cmake=options(recipe.cmake),
        steps=tuple(step(one) for one in recipe.steps),
        serve=replace(recipe.serve, args=tuple(text(word) for word in recipe.serve.args)),
        smoke=smoke,
        origin=Origin(file=recipe.origin.file),
    )


def make_plan(recipe: Recipe, variant: str, pin: Pin, *, templates: Path, places: Places) -> ImagePlan:
    """Plan one image of a recipe that has the variant's overrides merged (recipe.effective).

    `places` are for the bake file alone; no path decides the fingerprint.
    """
    whole = filled(recipe)
    files = {"Dockerfile": render_dockerfile(templates, whole, pin)}
    files |= {f"context/{path}": text for path, text in render_context(templates, whole, pin).items()}
    named = labels(whole, variant, pin)
    print_ = fingerprint(inputs(whole, variant, pin, files, named))
    named["ingot.fingerprint"] = print_
    name = directory_name(recipe.name, variant)
    target = BakeTarget(
        name=name.replace("+", "_"),
        context=f"{places.out}/context",
        dockerfile="../Dockerfile",
        output=f"{places.out}/image",
        contexts=places.contexts,
        compression=compression(whole),
        labels=tuple(sorted(named.items())),
    )
    files["docker-bake.json"] = bake_json(target)
    return ImagePlan(
        recipe=whole,
        variant=variant,
        pin=pin,
        fingerprint=print_,
        tag=immutable_tag(whole, variant, print_),
        moving_tags=moving_tags(whole, variant),
        labels=tuple(sorted(named.items())),
        files=tuple(sorted(files.items())),
    )
