"""Two made layouts that differ in one thing: it is named with its layer, file and section, and nothing else is."""

import gzip
import hashlib
import importlib.util
import io
import json
import re
import shutil
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from build.image.layout import BrokenLayout, Layout, open_layout
from build.verify.compare import compare
from build.verify.model import Verdict
from tests.layouts import (
    OCI_LAYER,
    Blobs,
    Node,
    Tree,
    device,
    elf,
    folder,
    hardlink,
    pack,
    rewrite_index,
    symlink,
    tar,
    write_layout,
)

TREE: Tree = {
    "app": folder(),
    "app/server": elf("server"),
    "app/libcuda.so.1": elf("libcuda.so.1"),
    "app/readme": b"one\ntwo\nthree\n",
    "app/link": symlink("server"),
}
CONFIG = {"Labels": {"a": "1"}, "Env": ["PATH=/bin"], "User": "app"}


def layout(path: Path, *trees: Tree | bytes, config: Mapping[str, Any] = CONFIG, how: str = "gzip") -> Layout:
    return open_layout(write_layout(path, [{"etc/base": b"1"}, *trees], config=config, how=how))


def lines(tmp_path: Path, one: Layout, other: Layout, *, same_versions: bool = True) -> list[str]:
    return [
        str(found)
        for found in compare(one, other, tmp_path / "scratch", same_versions=same_versions).differences
    ]


def changed(tmp_path: Path, **nodes: Node | bytes) -> list[str]:
    other = {**TREE, **{f"app/{name.replace('__', '.')}": node for name, node in nodes.items()}}
    return lines(tmp_path, layout(tmp_path / "one", TREE), layout(tmp_path / "other", other))


def test_equal_images_are_identical(tmp_path: Path) -> None:
    found = compare(
        layout(tmp_path / "one", TREE), layout(tmp_path / "other", TREE), tmp_path, same_versions=True
    )
    assert (found.verdict, found.differences) == (Verdict.IDENTICAL, ())


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node(data=TREE["app/readme"], mode=0o664), ", mode: another value: 0644, then 0664"),  # type: ignore[arg-type]
        (Node(data=TREE["app/readme"], uid=7), ", owner: another value: 0:0 :, then 7:0 :"),  # type: ignore[arg-type]
        (Node(data=TREE["app/readme"], mtime=5), ", mtime: another value: 1600000000, then 5"),  # type: ignore[arg-type]
        (b"one\n2\nthree\n", ", line 2: another text: two, then 2"),
        (b"one\ntwo\nthree\nfour\n", ", line 4: another text: nothing, then four"),
        (b"one\x1b[2J\ntwo\nthree\n", r", line 1: another text: one, then one\x1b[2J"),
        (b"\xff\0", ": other bytes from 0x0 on: 14 bytes, then 2 bytes"),
        (Node(data=TREE["app/readme"], pax={"SCHILY.xattr.user.x": "y"}),  # type: ignore[arg-type]
         ", extra: another value: nothing, then SCHILY.xattr.user.x=y"),
    ],
)  # fmt: skip
def test_a_field_of_a_file(tmp_path: Path, node: Node | bytes, words: str) -> None:
    assert changed(tmp_path, readme=node) == [f"layer 2, app/readme{words}"]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (symlink("other"), "link: another value: server, then other"),
        (hardlink("app/server"), "kind: another value: symbolic link, then hard link"),
        (device(), "kind: another value: symbolic link, then device"),
        (folder(), "kind: another value: symbolic link, then folder"),
    ],
)
def test_another_kind_of_entry(tmp_path: Path, node: Node, words: str) -> None:
    assert f"layer 2, app/link, {words}" in changed(tmp_path, link=node)


def test_added_removed_and_out_of_order(tmp_path: Path) -> None:
    one = layout(tmp_path / "one", TREE)
    more = layout(tmp_path / "more", {**TREE, "app/new": b"1"})
    assert lines(tmp_path, one, more) == ["layer 2, app/new: the file was added"]
    assert lines(tmp_path, more, one) == ["layer 2, app/new: the file was removed"]
    turned = layout(tmp_path / "turned", dict(reversed(list(TREE.items()))))
    words = "layer 2, tar: another order of entries, from the 1. on: app, then app/link"
    assert lines(tmp_path, one, turned) == [words]


def test_layers_that_are_there_on_one_side_only(tmp_path: Path) -> None:
    one, more = layout(tmp_path / "one", TREE), layout(tmp_path / "more", TREE, {"x": b"1"})
    assert "layer 3: the layer was added: COPY layer 2" in lines(tmp_path, one, more)
    assert "layer 3: the layer was removed: COPY layer 2" in lines(tmp_path, more, one)


def test_a_tar_with_equal_entries(tmp_path: Path) -> None:
    padded = tar(TREE) + b"\0" * tarfile.RECORDSIZE
    found = lines(tmp_path, layout(tmp_path / "one", tar(TREE)), layout(tmp_path / "other", padded))
    assert found == ["layer 2, tar: equal entries, in other headers or with other padding"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**CONFIG, "Labels": {"a": "2"}}, "config.Labels.a: another value: 1, then 2"),
        ({**CONFIG, "Env": ["PATH=/bin", "A=\x07"]}, r"config.Env[1]: added: nothing, then A=\x07"),
        ({**CONFIG, "User": "root"}, "config.User: another value: app, then root"),
        ({"Labels": {"a": "1"}, "User": "app"}, "config.Env[0]: removed: PATH=/bin, then nothing"),
    ],
)
def test_metadata(tmp_path: Path, config: Mapping[str, Any], words: str) -> None:
    one, other = layout(tmp_path / "one", TREE), layout(tmp_path / "other", TREE, config=config)
    assert lines(tmp_path, one, other) == [f"configuration {words}"]


def test_the_same_values_written_otherwise(tmp_path: Path) -> None:
    one = layout(tmp_path / "one", TREE)
    path = write_layout(tmp_path / "other", [{"etc/base": b"1"}, TREE], config=CONFIG)
    blobs = Blobs(path)
    index = json.loads((path / "index.json").read_text())
    manifest = json.loads((path / "blobs" / "sha256" / index["manifests"][0]["digest"][7:]).read_bytes())
    text = json.dumps(manifest, indent=1).encode()
    (path / "index.json").write_text(
        json.dumps({"manifests": [blobs.add(text, index["manifests"][0]["mediaType"])]})
    )
    assert lines(tmp_path, one, open_layout(path)) == ["manifest: the same values, written down otherwise"]


def test_compression_alone(tmp_path: Path) -> None:
    one, other = layout(tmp_path / "one", TREE), layout(tmp_path / "other", TREE, how="zstd")
    found = compare(one, other, tmp_path, same_versions=True)
    assert found.verdict is Verdict.DIFFERS, "the same BuildKit has no reason to pack them otherwise"
    assert "layer 2, compression: another method: gzip, then zstd" in [
        str(line) for line in found.differences
    ]
    assert compare(one, other, tmp_path, same_versions=False).verdict is Verdict.OTHER_COMPRESSION
    label = layout(tmp_path / "label", TREE, config={}, how="zstd")
    assert compare(one, label, tmp_path, same_versions=False).verdict is Verdict.DIFFERS


def remade(one: Layout, path: Path, change: Callable[[dict[str, Any]], object]) -> Layout:
    """Copy a layout, with another manifest."""
    shutil.copytree(one.path, path)
    index = json.loads((path / "index.json").read_text())
    (entry,) = index["manifests"]
    manifest = json.loads((path / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    change(manifest)
    rewrite_index(path, [Blobs(path).add_json(manifest, entry["mediaType"])])
    return open_layout(path)


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_layer_of_other_files_below_a_good_configuration(tmp_path: Path, how: str) -> None:
    one = layout(tmp_path / "one", TREE)
    data = tar({**TREE, "app/server": b"evil"})

    def exchange(manifest: dict[str, Any]) -> None:
        manifest["layers"][1] = Blobs(tmp_path / "other").add(pack(data, how), f"{OCI_LAYER}+{how}")

    other = remade(one, tmp_path / "other", exchange)
    found = hashlib.sha256(data).hexdigest()
    words = f"unpacks to sha256:{found}, the configuration says {one.layers[1].diff_id}"
    for sides in ((one, other), (other, one)):
        with pytest.raises(BrokenLayout, match=words):
            compare(*sides, tmp_path / "scratch", same_versions=False)


def test_what_a_manifest_says_of_a_layer_is_compared(tmp_path: Path) -> None:
    def annotate(manifest: dict[str, Any]) -> None:
        manifest["layers"][1]["annotations"] = {"a": "1"}

    words = "manifest layers[1].annotations.a: added: nothing, then 1"
    one = layout(tmp_path / "one", TREE)
    for how in ("gzip", "zstd"):
        plain = layout(tmp_path / how, TREE, how=how)
        found = compare(
            one, remade(plain, tmp_path / f"{how}-2", annotate), tmp_path / "scratch", same_versions=False
        )
        assert found.verdict is Verdict.DIFFERS, "an annotation is no compression"
        assert words in [str(line) for line in found.differences]


def test_a_difference_that_no_value_explains_is_one(tmp_path: Path) -> None:
    one = layout(tmp_path / "one", TREE)
    # Reads like a layer's digest, and is none.
    other = remade(one, tmp_path / "other", lambda manifest: manifest.update({"layers[0].digest": "x"}))
    found = compare(one, other, tmp_path / "scratch", same_versions=False)
    assert found.verdict is Verdict.DIFFERS
    words = "manifest: another digest, and no value of it was found to differ"
    assert [str(line) for line in found.differences] == [f"{words}: {one.digest}, then {other.digest}"]


def test_a_gzip_header_and_a_gzip_stream(tmp_path: Path) -> None:
    def packed(level: int, mtime: int) -> bytes:
        return gzip.compress(b"words " * 500, level, mtime=mtime)

    assert changed(tmp_path, x__gz=packed(9, 0)) == ["layer 2, app/x.gz: the file was added"]
    one = layout(tmp_path / "a", {"x.gz": packed(9, 0)})
    (later,) = lines(tmp_path, one, layout(tmp_path / "b", {"x.gz": packed(9, 7)}))
    words = r"layer 2, x\.gz, gzip header: another value: .* time 0, the smallest, .*, then .* time 7, the smallest, .*"
    assert re.fullmatch(words, later)
    other = layout(tmp_path / "c", {"x.gz": gzip.compress(b"other", 9, mtime=0)})
    assert lines(tmp_path, one, other)[0].startswith(
        "layer 2, x.gz, content: other bytes once unpacked: sha256:"
    )
    cut = layout(tmp_path / "d", {"x.gz": packed(9, 0)[:-5]})
    assert lines(tmp_path, one, cut) == ["layer 2, x.gz, gzip: cannot be taken apart: the gzip stream is cut"]


def test_python_bytecode(tmp_path: Path) -> None:
    def compiled(time: int, size: int = 9, code: bytes = b"code", flags: int = 0) -> Tree:
        return {"m.pyc": struct.pack("<4sIII", importlib.util.MAGIC_NUMBER, flags, time, size) + code}

    one = layout(tmp_path / "one", compiled(1))
    cases = {
        "pyc header: another time of the source: 1, then 2": compiled(2),
        "pyc header: another source: 1, then 1": compiled(1, 8),
        "code: other bytes": compiled(1, code=b"edoc"),
        "pyc header: other flags: 0, then 3": compiled(1, flags=3),
    }
    for number, (words, tree) in enumerate(cases.items()):
        assert lines(tmp_path, one, layout(tmp_path / str(number), tree)) == [f"layer 2, m.pyc, {words}"]


def archive(*members: tuple[str, bytes, int]) -> bytes:
    data = b"!<arch>\n"
    for name, content, time in members:
        head = f"{name + '/':16}{time:<12}{0:<6}{0:<6}{'644':8}{len(content):<10}`\n"
        data += head.encode() + content + b"\n" * (len(content) % 2)
    return data


def test_static_libraries(tmp_path: Path) -> None:
    a, b = ("a.o", b"one", 0), ("b.o", b"two", 0)
    one = layout(tmp_path / "one", {"l.a": archive(a, b)})
    cases = {
        "members: another order of members, from the 1. on: a.o, then b.o": archive(b, a),
        "a.o, time: another value: 0, then 9": archive(("a.o", b"one", 9), b),
        "b.o: the member was removed": archive(a),
        "c.o: the member was added": archive(a, b, ("c.o", b"", 0)),
        "a.o: other bytes from 0x2 on": archive(("a.o", b"onE", 0), b),
        "cannot be taken apart: a damaged header at 0x84": archive(a, b)[:-30],
        "cannot be taken apart: a damaged header at 0x44": archive(a, b).replace(
            b"3         `", b"\xb2         `", 1
        ),
        "/\xb2: the member was added": archive(a, b).replace(b"b.o/", b"/\xb2  "),
    }
    for number, (words, data) in enumerate(cases.items()):
        found = lines(tmp_path, one, layout(tmp_path / str(number), {"l.a": data}))
        assert f"layer 2, l.a, {words}" in [line.replace("l.a: cannot", "l.a, cannot") for line in found], (
            found
        )


def test_a_damaged_elf_file_is_said_to_be_one(tmp_path: Path) -> None:
    data = elf("server").data
    (found,) = changed(tmp_path, server=Node(data=data[: len(data) // 2], mode=0o755))
    assert found.startswith("layer 2, app/server: cannot be taken apart: cut: ")


def hostile(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive_:
        header = tarfile.TarInfo(name)
        header.type = kind
        archive_.addfile(header)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [lambda: hostile("../../x"), lambda: hostile("/x"), lambda: b"no tar" * 100])
def test_a_layer_that_lies_is_refused_and_writes_nothing(tmp_path: Path, make: Callable[[], bytes]) -> None:
    one, other = layout(tmp_path / "one", TREE), layout(tmp_path / "other", make())
    with pytest.raises(BrokenLayout):
        lines(tmp_path, one, other)
    assert {path.name for path in tmp_path.iterdir()} <= {"one", "other", "scratch"}


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path: Path) -> None:
    other = layout(tmp_path / "other", {**TREE, "app/\x1b]0;x": b"1"})
    assert lines(tmp_path, layout(tmp_path / "one", TREE), other) == [
        r"layer 2, app/\x1b]0;x: the file was added"
    ]


def test_many_differences_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    trees = [{f"f{number}": text for number in range(300)} for text in (b"1\n", b"2\n")]
    one, other = (layout(tmp_path / str(side), tree) for side, tree in enumerate(trees))
    found = compare(one, other, tmp_path / "scratch", same_versions=True)
    assert (len(found.differences), found.unlisted) == (200, 100)
    assert str(found.differences[0]) == "layer 2, f0, line 1: another text: 1, then 2"
    assert str(found.differences[-1]) == "layer 2, f199: other bytes, not looked into"
