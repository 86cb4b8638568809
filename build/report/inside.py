"""What is inside the image: layers, the biggest files, GPU code, and which library brings in which. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from build.image.model import Layer
from build.report.detail import Detail

__all__ = [
    "BigFile",
    "GpuRow",
    "LayerRow",
    "Library",
    "VendorRow",
    "biggest",
    "drawn",
    "gpu_rows",
    "layer_rows",
    "libraries",
    "size",
    "vendor_rows",
]

_COLLECTED: Final = re.compile(r"COPY /collect/(\w+)/")
_WHAT: Final = {
    "cuda": "CUDA libraries",
    "kernels": "libraries with kernels",
    "server": "server and the rest",
    "links": "links",
}
_DEEPEST: Final = 40
_THOUSAND: Final = 1000


def size(count: float) -> str:
    """Render a size as registries do, in powers of a thousand: `43.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < _THOUSAND:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _THOUSAND
    return f"{count:.2f} GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One layer as a part of the whole."""

    what: str
    instruction: str
    digest: str
    bytes: int
    start: float
    """Where its part of the picture begins, in percent of all layers."""
    share: float
    """In percent of all layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BigFile:
    """One of the biggest files."""

    path: str
    bytes: int
    """Unpacked."""
    layer: str
    share: float
    """In percent of the biggest."""


def layer_rows(layers: tuple[Layer, ...]) -> tuple[LayerRow, ...]:
    """Say what each layer is for and how much of the image it is."""
    total = sum(layer.size for layer in layers) or 1
    ours = next((number for number, layer in enumerate(layers) if _COLLECTED.search(layer.what)), 0)
    rows = []
    start = 0
    for number, layer in enumerate(layers):
        found = _COLLECTED.search(layer.what)
        instruction = layer.what.removesuffix(" # buildkit")
        what = _WHAT.get(found[1], found[1]) if found else instruction
        row = LayerRow(
            what="base" if number < ours else what,
            instruction=instruction,
            digest=str(layer.digest),
            bytes=layer.size,
            start=100 * start / total,
            share=100 * layer.size / total,
        )
        rows.append(row)
        start += layer.size
    return tuple(rows)


def biggest(layout: Detail, layers: tuple[LayerRow, ...]) -> tuple[BigFile, ...]:
    """Read the biggest files out of the evidence of the check `layout`."""
    found = [
        (one.text("path"), one.number("bytes"), one.number("layer")) for one in layout.children("largest")
    ]
    most = max((count for _, count, _ in found), default=0) or 1
    return tuple(
        BigFile(
            path=path,
            bytes=count,
            layer=layers[number].what if 0 <= number < len(layers) else "",
            share=100 * count / most,
        )
        for path, count, number in found
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """The GPU code of one kind in one library that the recipe compiled."""

    library: str
    target: str
    """`SASS sm_120a`, `PTX compute_120`."""
    entries: int
    compressed: int
    bytes: int
    identity: str
    """Equal for equal kernels, whatever the host code around them."""
    promised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRow:
    """What a library of NVIDIA's own carries; it is not the recipe's promise."""

    library: str
    targets: tuple[str, ...]


def gpu_rows(gpu_code: Detail) -> tuple[GpuRow, ...]:
    """Read the compiled libraries out of the evidence of the check `gpu_code`."""
    promised = gpu_code.texts("promised")
    return tuple(
        GpuRow(
            library=library,
            target=target,
            entries=row.number("entries"),
            compressed=row.number("compressed"),
            bytes=row.number("bytes"),
            identity=one.text("identity"),
            promised=target.rpartition(" ")[2] in promised,
        )
        for library, one in gpu_code.child("libraries").items()
        for target, row in one.child("targets").items()
    )


def vendor_rows(gpu_code: Detail) -> tuple[VendorRow, ...]:
    """Read NVIDIA's own libraries out of the evidence of the check `gpu_code`."""
    vendor = gpu_code.child("vendor")
    return tuple(VendorRow(library=name, targets=vendor.texts(name)) for name in vendor.names())


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A file of the image and what it brings in."""

    name: str
    """As it is asked for, or the path of what nobody asks for."""
    path: str
    kind: Literal["app", "base", "driver", "missing"]
    again: bool
    """What it brings in stands further up."""
    needs: tuple["Library", ...] = ()
    base: tuple[str, ...] = ()
    """Libraries of the base that it needs; what those need among themselves is Debian's matter."""


def libraries(closure: Detail, app: str) -> tuple[Library, ...]:
    """Read the trees out of the evidence of the check `closure`: the server's, then what is linked to nothing."""
    roots = (closure.child("tree"), *closure.children("others"))
    return tuple(_library(root.text("path"), root, app, 0) for root in roots if root.text("path"))


def drawn(roots: tuple[Library, ...]) -> str:
    """Draw the trees as text."""
    return "\n".join(line for root in roots for line in (root.name, *_branches(root, "")))


def _branches(one: Library, indent: str) -> Iterator[str]:
    words = [(f"{need.name}{_place(need)}", need) for need in one.needs]
    rows: list[tuple[str, Library | None]] = [*words]
    if one.base:
        rows.append((f"of the base: {', '.join(one.base)}", None))
    for number, (text, need) in enumerate(rows):
        last = number == len(rows) - 1
        yield f"{indent}{'└─' if last else '├─'} {text}"
        if need is not None:
            yield from _branches(need, indent + ("   " if last else "│  "))


def _place(one: Library) -> str:
    match one.kind:
        case "driver":
            return "  (the driver's)"
        case "missing":
            return "  (MISSING)"
        case _:
            path = "" if one.path.endswith(f"/{one.name}") else f" → {one.path}"
            return path + ("  (see above)" if one.again else "")


def _library(name: str, found: Detail, app: str, depth: int) -> Library:
    needs: list[Library] = []
    base: list[str] = []
    for needed, one in found.child("needs").items() if depth < _DEEPEST else _none():
        library = _library(needed, one, app, depth + 1)
        if library.kind == "base":
            base.append(needed)
        else:
            needs.append(library)
    return Library(
        name=name,
        path=found.text("path"),
        kind=_kind(found, app),
        again=bool(found.text("path")) and not found.has("needs"),
        needs=tuple(needs),
        base=tuple(base),
    )


def _none() -> Iterator[tuple[str, Detail]]:
    return iter(())


def _kind(found: Detail, app: str) -> Literal["app", "base", "driver", "missing"]:
    match found.text("from"):
        case "driver":
            return "driver"
        case "missing":
            return "missing"
        case _:
            return "app" if found.text("path").startswith(app.rstrip("/") + "/") else "base"
