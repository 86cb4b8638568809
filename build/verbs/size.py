"""The verb that says where an image's bytes are."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.doors.effects import Reporter
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished

if TYPE_CHECKING:
    from build.report.size import Sizes

__all__ = ["add"]

_BIGGEST = 5


def add(verbs: Verbs) -> None:
    """Add `size`."""
    size = verbs.add_for_recipes(
        "size",
        _size,
        "say where the bytes of built images are: layers, biggest files, what is shared, what a change makes users pull",
        detail="Reads out/ alone. A layer is shared with another image that was built here where it is the same to the "
        "byte; `pulled` reckons the changed layer, those above it, configuration and manifest.",
    )
    size.add_argument(
        "--biggest", type=int, default=_BIGGEST, metavar="N", help=f"files shown per layer, else {_BIGGEST}"
    )


def _size(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.doors import store
    from build.image.layout import open_layout
    from build.image.model import BuiltImage
    from build.report.size import Sizes, measure

    built = {
        path.parent.name: frozenset(layer.digest for layer in image.layers)
        for path in sorted(settings.out.glob("*/image.json"))
        if (image := store.read_known(path, BuiltImage))
    }

    def one(name: str) -> Sizes:
        store.read_artifact(settings.out / name / "image.json", BuiltImage, made_by=f"nox -s build -- {name}")
        with console.step(f"read {name}") as step:
            others = {other: digests for other, digests in built.items() if other != name}
            found = measure(
                name, open_layout(settings.out / name / "image"), others, biggest=arguments.biggest
            )
            step.verdict(f"{len(found.layers)} layers")
        _show(found, console)
        return found

    return each(
        ((name, partial(one, name)) for name in finished(arguments, settings, "image.json")),
        console,
    )


def _show(image: "Sizes", console: Reporter) -> None:
    console.summary(
        f"{image.name}: {_mb(image.size)} sent, {_mb(image.unpacked)} unpacked",
        ("layer", "sent", "unpacked", "files", "shared with", "made of"),
        tuple(
            (
                layer.digest[:19], _mb(layer.size), _mb(layer.unpacked), str(layer.files),
                ", ".join(layer.shared_with) or "-", layer.what,
            )
            for layer in image.layers
        ),
    )  # fmt: skip
    files = tuple((layer.what, _mb(file.size), file.path) for layer in image.layers for file in layer.biggest)
    if files:
        console.summary("biggest files of each layer", ("layer", "unpacked", "file"), files)
    pulls = tuple(
        (pull.changed, _mb(pull.size), f"{100 * pull.share:.2f} %", str(pull.layers)) for pull in image.pulls
    )
    console.summary("pulled after a change of", ("part", "bytes", "of the image", "layers"), pulls)
    for other in image.shared:
        console.note(
            f"with {other.image} here already: {_mb(image.size - other.size)} to pull, {other.layers} layers shared"
        )


def _mb(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
