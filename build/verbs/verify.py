"""The verbs that build an image a second time: from its bundle, and to compare the two."""

import argparse
from functools import partial
from pathlib import Path
from typing import get_args

from build.doors.console import Console
from build.doors.platforms import Platform
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished, takes_builder
from build.verify.variations import VARIATIONS

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add `verify` and `from-bundle`."""
    listed = "; ".join(f"{name}: {meaning}" for name, meaning in VARIATIONS)
    verify = verbs.add_for_recipes(
        "verify",
        _verify,
        "build images again under other conditions and compare them with those in out/, to the byte",
        detail="Without a name all that were compiled; images of wheels have no bundle. Identical is 0, differs is 1, with layer, file and section; out/<name>/verify.json "
        "says what was varied. Everything is compiled, on half of the CPUs: `--without cpus` takes all of them. "
        f"Variations: {listed}.",
    )
    text = "a variation to leave out, to narrow a difference down; several by commas"
    verify.add_argument("--without", default="", metavar="NAME", help=text)
    text = (
        "compile the second time on this platform, with its own toolchain of the same locks; where that is emulated "
        "INGOT_EMULATE=1 must be set, and it takes hours for a real fork"
    )
    verify.add_argument("--build-platform", choices=get_args(Platform), help=text)
    text = "verify an image of a registry instead, by digest, from the bundle that `push --custody` attached to it"
    verify.add_argument("--image", default="", metavar="REF@DIGEST", help=text)
    verify.add_argument("--list", action="store_true", help="list the variations and do nothing")
    again = verbs.add(
        "from-bundle",
        _from_bundle,
        "prove a bundle and build its image on the engine in use; templates and recipes of this tree are not read",
    )
    again.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder")
    text = "folder for what is made; it must not be there yet"
    again.add_argument("--into", type=Path, required=True, metavar="DIR", help=text)
    takes_builder(again)
    again.add_argument("--no-compile-cache", action="store_true", help="compile everything")
    again.add_argument("--no-layer-cache", action="store_true", help="run every step anew")
    text = "move the times of all files by so many seconds"
    again.add_argument("--file-times", type=int, default=0, metavar="SECONDS", help=text)


def _verify(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.errors import BadRequest
    from build.onward import Onward
    from build.verify.variations import chosen

    left = chosen(tuple(name for name in arguments.without.split(",") if name))
    if arguments.list:
        console.summary("variations", ("name", "the second build has"), VARIATIONS)
        return dict(VARIATIONS)
    if arguments.image:
        return _verify_image(arguments, settings, console, left)
    onward = Onward(settings=settings, reporter=console)
    names = finished(arguments, settings, "image.json")
    if not arguments.recipes:
        compiled = [name for name in names if onward.read_plan(name).pin.toolchain]
        for name in sorted({*names} - {*compiled}):
            console.note(f"{name} is passed over: only what is compiled can be built again from a bundle")
        names = compiled
    platform = arguments.build_platform
    if platform and settings.builder and "engine" in left:
        message = f"--build-platform {platform}: a second engine is this machine's own, the builder {settings.builder} is not asked"
        raise BadRequest(
            message, hint="--without engine compiles on the builder again; or unset INGOT_BUILDER"
        )
    work = ((name, partial(onward.verify, name, left, platform)) for name in names)
    return each(work, console)


def _verify_image(
    arguments: argparse.Namespace, settings: Settings, console: Console, chosen: frozenset[str]
) -> object:
    from build.errors import BadRequest
    from build.verify.published import PublishedVerifier
    from build.wiring import Wiring

    if arguments.recipes or arguments.variant:
        message = "--image names an image of a registry: no recipe and no variant can be named beside it"
        raise BadRequest(message, hint="leave --image out to verify what lies in out/")
    if arguments.build_platform:
        message = "--build-platform is for what lies in out/: an image of a registry brings its own toolchain"
        raise BadRequest(message, hint="leave --build-platform out")
    registry = Wiring(settings=settings, reporter=console).registry
    verifier = PublishedVerifier(settings=settings, reporter=console, registry=registry, chosen=chosen)
    return verifier.verify(arguments.image)


def _from_bundle(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.errors import BadRequest
    from build.verify.rebuild import How, rebuild
    from build.wiring import Wiring

    if arguments.into.exists():
        message = f"{arguments.into} is there already"
        raise BadRequest(message, hint="name a folder that is not there")
    how = How(
        compile_cache=not arguments.no_compile_cache,
        layer_cache=not arguments.no_layer_cache,
        shift_s=arguments.file_times,
    )
    wiring = Wiring(settings=settings, reporter=console)
    engine = {"engine": wiring.containers.info().version, "buildkit": wiring.buildx.inspect().buildkit}
    bundle, into = arguments.bundle.resolve(), arguments.into.resolve()
    material, built = rebuild(
        bundle, into, how, builder=wiring.buildx, reporter=console, engine=engine,
        before_compilers=partial(
            wiring.refuse_emulated,
            mend="the toolchain is the bundle's own: build it on a machine or with an INGOT_BUILDER of that platform, "
            "or verify what lies in out/ with this machine's: --build-platform",
        ),
    )  # fmt: skip
    console.note(f"{material.out / 'image'}: {built.digest}")
    return built
