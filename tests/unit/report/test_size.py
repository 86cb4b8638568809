"""Where the bytes are, on layouts of known bytes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.cli import main
from build.image.layout import open_layout
from build.recipe.refs import Digest
from build.report.size import Pull, Shared, SizedFile, measure
from tests.layouts import hardlink, write_layout
from tests.unit.report.images import build

BASE = {"usr/lib/libc": b"c" * 700}
CUDA = {"app/libcublas": b"b" * 5000, "app/libcublas.so": hardlink("app/libcublas")}
SERVER = {"app/server": b"s" * 90, "app/notes": b"n" * 10}


def layout_of(path: Path, *trees: object) -> Path:
    return write_layout(path, trees, how="")  # type: ignore[arg-type]


def test_layers_tell_their_files_and_who_shares_them(tmp_path: Path) -> None:
    layout = open_layout(layout_of(tmp_path / "a", BASE, CUDA, SERVER))
    base, cuda, _ = layout.layers
    others = {
        "other": frozenset({base.digest, cuda.digest}),
        "stranger": frozenset({Digest(f"sha256:{1:064x}")}),
    }
    found = measure("a", layout, others, biggest=1)
    assert [(one.unpacked, one.files, one.biggest, one.shared_with) for one in found.layers] == [
        (700, 1, (SizedFile(path="/usr/lib/libc", size=700),), ("other",)),
        (5000, 1, (SizedFile(path="/app/libcublas", size=5000),), ("other",)),
        (100, 2, (SizedFile(path="/app/server", size=90),), ()),
    ]
    assert found.unpacked == 5800
    assert found.shared == (
        Shared(image="other", size=base.size + cuda.size, layers=2),
        Shared(image="stranger", size=0, layers=0),
    )


def test_a_change_makes_users_pull_its_layer_and_those_above(tmp_path: Path) -> None:
    path = layout_of(tmp_path / "a", BASE, {}, CUDA, SERVER)
    layout = open_layout(path)
    documents = sum(
        (path / "blobs" / "sha256" / name.hex).stat().st_size
        for name in (layout.digest, layout.config_digest)
    )
    base, nothing, cuda, server = (layer.size for layer in layout.layers)
    whole = base + nothing + cuda + server + documents
    expected = (
        ("COPY layer 3", server, 1),
        ("COPY layer 2", server + cuda, 2),
        ("COPY layer 0", whole - documents, 4),
    )
    assert measure("a", layout, {}).pulls == tuple(
        Pull(changed=what, size=size + documents, layers=count, share=(size + documents) / whole)
        for what, size, count in expected
    )


WHEELS = (
    "ADD rootfs.tar / # buildkit",
    "RUN /bin/sh -c python3 -m compileall -qq -f -j 0 /usr/lib/python3.11 &&     python3 -m venv --without-pip /opt/venv",
    "RUN /bin/sh -c sh /install-wheels.sh cuda /installer /wheels # buildkit",
    "RUN /bin/sh -c sh /install-wheels.sh dependencies /installer /wheels # buildkit",
    "RUN /bin/sh -c sh /install-wheels.sh application /installer /wheels # buildkit",
    "RUN /bin/sh -c PYTHONPATH=/tmp/run /opt/venv/bin/python -B -m patching /tmp/orders.json # buildkit",
    "WORKDIR /app",
)
COMPILED = (
    "ADD rootfs.tar /",
    "COPY /collect/cuda/ /app/",
    "COPY /collect/kernels/ /app/",
    "COPY /collect/server/ /app/",
)


@pytest.mark.parametrize(
    ("made_by", "parts"),
    [
        (WHEELS, ["base", "interpreter", "CUDA's libraries and torch", "dependencies", "application", "patches", "WORKDIR /app"]),
        (COMPILED, ["base", "CUDA's libraries", "kernels", "server"]),
        (("ADD x", "", "RUN /bin/sh -c PYTHONPATH=/a python3 -B -m patching /o"), ["base", "base", "patches"]),
        (("ADD x", "RUN echo sh /install-wheels.sh cuda ", ""), ["ADD x", "RUN echo sh /install-wheels.sh cuda ", "unnamed"]),
    ],
)  # fmt: skip
def test_layers_are_named_by_what_the_templates_put_into_them(
    tmp_path: Path, made_by: tuple[str, ...], parts: list[str]
) -> None:
    layout = open_layout(layout_of(tmp_path / "a", *({f"f{n}": b"x" * (n + 1)} for n in range(len(made_by)))))
    layers = tuple(replace(one, what=what) for one, what in zip(layout.layers, made_by, strict=True))
    assert [one.what for one in measure("a", replace(layout, layers=layers), {}).layers] == parts


def test_the_names_are_those_of_the_templates() -> None:
    """What a template is no longer written like would be named by its instruction in silence."""
    lines = {
        name: (Path(__file__).parents[3] / "dockerfiles" / f"{name}.Dockerfile.j2").read_text()
        for name in ("python", "llama-cpp")
    }
    for words in (
        "python3 -m compileall ",
        "sh /install-wheels.sh {{ layer }} ",
        "PYTHONPATH=/tmp/run {{ python }} -B -m patching ",
    ):
        assert words in lines["python"]
    for words in ("/collect/cuda/ ", "/collect/kernels/ ", "/collect/server/ "):
        assert f"COPY --from=collect {words}" in lines["llama-cpp"]


def test_the_verb_reads_what_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path))
    build(tmp_path / "minifork")
    build(tmp_path / "minifork+no-vmm", content=b"y" * 3_000_000)
    assert main(["size", "--json"]) == 0
    said = capsys.readouterr()
    first, second = json.loads(said.out)
    assert [layer["shared_with"] for layer in first["layers"]] == [["minifork+no-vmm"], []]
    assert second["unpacked"] == 3_000_006
    assert "with minifork here already:" in said.err
    assert ["COPY", "layer", "1", "3.0", "MB", "/app/x"] in [line.split() for line in said.err.splitlines()]


def test_a_damaged_image_keeps_no_other_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path))
    built = build(tmp_path / "minifork")
    build(tmp_path / "minifork+no-vmm", content=b"y")
    layer = built.folder / "image" / "blobs" / "sha256" / built.built.layers[1].digest.hex
    layer.write_bytes(bytes(len(layer.read_bytes())))
    assert main(["size"]) == 1
    said = capsys.readouterr().err
    assert f"{built.folder}/image: layer {built.built.layers[1].digest}" in said
    assert "minifork+no-vmm: 0.0 MB sent" in said


@pytest.mark.parametrize(
    ("words", "code"), [(("size",), 3), (("size", "minifork"), 2), (("size", "--biggest", "x"), 2)]
)
def test_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
) -> None:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path))
    try:
        ended = main(words)
    except SystemExit as stop:  # argparse's own
        ended = int(stop.code or 0)
    assert ended == code
