import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from build.doors.jsonvalues import MalformedError
from build.doors.store import read_artifact, write_artifact
from build.image.layout import BrokenLayout, Layout, open_layer, open_layout
from build.image.model import BuiltImage, Layer
from build.image.rootfs import ELF_MAGIC, open_rootfs
from build.image.stream import Budget, Gunzip
from build.image.tree import Kind, Rootfs, printable
from build.recipe.refs import Digest
from tests.layouts import (
    DOCKER_LAYER,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Blobs,
    Node,
    Tree,
    device,
    folder,
    hardlink,
    listed,
    pack,
    rewrite_index,
    symlink,
    tar,
    write_layout,
)

SMALL: Tree = {"etc/": folder(), "etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}


def unpacked(layout: Layout) -> list[str]:
    with open_rootfs(layout, keep=lambda *_: False) as rootfs:
        return [entry.path for entry in rootfs]


def refusal(path: Path) -> str:
    with pytest.raises(BrokenLayout) as caught:
        unpacked(open_layout(path))
    assert caught.value.exit_code == 1
    assert caught.value.message == f"{path}: {caught.value.what}"
    return caught.value.what


@pytest.mark.parametrize("how", ["gzip", "zstd", ""])
@pytest.mark.parametrize("kind", [OCI_LAYER, DOCKER_LAYER])
@pytest.mark.parametrize("nested", ["", "nested"])
def test_reads_every_packing_media_type_and_nesting(tmp_path: Path, how: str, kind: str, nested: str) -> None:
    path = write_layout(
        tmp_path, [SMALL, {"a": b"1"}], how=how, layer_kind=kind, nested=bool(nested), attested=True
    )
    layout = open_layout(path)
    assert unpacked(layout) == ["a", "etc", "etc/passwd"]
    assert [layer.what for layer in layout.layers] == ["COPY layer 0", "COPY layer 1"]
    assert layout.layers[1].diff_id == f"sha256:{hashlib.sha256(tar({'a': b'1'})).hexdigest()}"
    assert layout.layers[1].digest == f"sha256:{hashlib.sha256(pack(tar({'a': b'1'}), how)).hexdigest()}"
    assert layout.layers[1].size == len(pack(tar({"a": b"1"}), how))


def test_gives_the_configuration_types(tmp_path: Path) -> None:
    config: dict[str, object] = {
        "Env": ["PATH=/bin", "EMPTY="],
        "Labels": {"b": "2", "a": "1"},
        "User": "10001:10001",
        "Entrypoint": ["/app/server"],
        "Cmd": None,
        "WorkingDir": "/app",
        "Healthcheck": {"Test": ["CMD-SHELL", "curl localhost"]},
        "ExposedPorts": {"8080/tcp": {}},
    }
    layout = open_layout(write_layout(tmp_path, [SMALL], config=config))
    found = layout.config
    assert found.env == (("PATH", "/bin"), ("EMPTY", ""))
    assert found.labels == (("a", "1"), ("b", "2"))
    assert (found.user, found.entrypoint, found.cmd, found.workdir) == (
        "10001:10001",
        ("/app/server",),
        (),
        "/app",
    )
    assert (found.healthcheck, found.ports) == (("CMD-SHELL", "curl localhost"), ("8080/tcp",))
    assert (found.os, found.architecture, found.created) == ("linux", "amd64", "2020-09-13T12:26:40Z")
    assert found.variable("PATH") == "/bin"
    assert layout.digest == listed(tmp_path)[0]["digest"]


def test_the_platform_is_chosen_and_held_against_the_configuration(tmp_path: Path) -> None:
    arm = write_layout(tmp_path / "arm", [SMALL], platform="linux/arm64")
    assert open_layout(arm, platform="linux/arm64").platform == "linux/arm64"
    assert refusal(arm) == "holds 0 images for linux/amd64, one is expected"
    entries = listed(arm)
    del entries[0]["platform"]
    rewrite_index(arm, entries)
    assert refusal(arm) == "the image is for linux/arm64, not for linux/amd64"


def test_two_images_are_one_too_many_but_two_names_are_not(tmp_path: Path) -> None:
    path = write_layout(tmp_path, [SMALL])
    first = listed(path)
    write_layout(tmp_path, [{"b": b""}])
    rewrite_index(path, first + first)
    assert unpacked(open_layout(path)) == ["etc", "etc/passwd"]
    write_layout(tmp_path, [{"b": b""}])
    rewrite_index(path, first + listed(path))
    assert refusal(path) == "holds 2 images for linux/amd64, one is expected"


def test_what_is_missing_cut_or_changed_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path / 'index.json'}: No such file or directory"
    (tmp_path / "index.json").write_text("[1]")
    assert refusal(tmp_path) == "index.json is not a JSON object"
    (tmp_path / "index.json").write_text("{")
    assert refusal(tmp_path) == "index.json is not a JSON object"
    (tmp_path / "index.json").write_text("{}")
    assert refusal(tmp_path) == "manifests is not a list"

    path = write_layout(tmp_path / "x", [SMALL])
    entry = listed(path)[0]
    blob = path / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")
    good = blob.read_bytes()
    blob.write_bytes(good[:-1])
    name = f"manifest {entry['digest']}"
    assert refusal(path) == f"{name} has {len(good) - 1} bytes, its descriptor says {len(good)}"
    blob.write_bytes(good[:-1] + b" ")
    assert refusal(path) == f"{name} has the digest sha256:{hashlib.sha256(good[:-1] + b' ').hexdigest()}"
    blob.unlink()
    assert refusal(path) == f"{blob}: No such file or directory"


def test_digests_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path, [SMALL])
    entry = listed(path)[0]
    rewrite_index(path, [entry | {"digest": "sha256:../../../etc/passwd"}])
    assert refusal(path) == "digest: 'sha256:../../../etc/passwd' is not a sha256 digest"
    rewrite_index(path, [entry | {"size": -1}])
    assert refusal(path) == "size is not a size"
    rewrite_index(path, [entry | {"size": 1 << 40}])
    assert refusal(path) == f"manifest {entry['digest']} is said to have {1 << 40} bytes"
    rewrite_index(path, [entry | {"mediaType": "text/plain"}])
    assert refusal(path) == "the media type text/plain is not known"
    loop: dict[str, Any] = entry
    for _ in range(6):
        loop = Blobs(path).add_json({"manifests": [loop]}, OCI_INDEX)
    rewrite_index(path, [loop])
    assert refusal(path) == "indexes are nested more than 4 deep"


def layer_blob(path: Path) -> Path:
    return path / "blobs" / "sha256" / open_layout(path).layers[0].digest.hex


def test_a_damaged_layer_is_named(tmp_path: Path) -> None:
    path = write_layout(tmp_path, [SMALL], how="")
    name = open_layout(path).layers[0].digest
    blob = layer_blob(path)
    good = blob.read_bytes()
    blob.write_bytes(good[:-512])
    assert refusal(path) == f"layer {name} has {len(good) - 512} bytes, the manifest says {len(good)}"
    changed = good.replace(b"root:x", b"root:y")
    blob.write_bytes(changed)
    assert refusal(path) == f"layer {name} has the digest sha256:{hashlib.sha256(changed).hexdigest()}"


def test_a_layer_that_is_not_what_the_configuration_says(tmp_path: Path) -> None:
    honest, other = tar(SMALL), tar({"evil": b""})
    path = write_layout(tmp_path, [honest])
    layout = open_layout(path)
    config = (path / "blobs" / "sha256" / layout.config_digest.hex).read_text()
    said = hashlib.sha256(other).hexdigest()
    lying = Blobs(path).add(config.replace(layout.layers[0].diff_id.hex, said).encode(), "config")
    manifest = {
        "config": lying,
        "layers": [Blobs(path).add(pack(honest, "gzip"), OCI_LAYER + "+gzip")],
    }
    rewrite_index(path, [Blobs(path).add_json(manifest, OCI_MANIFEST)])
    layer = open_layout(path).layers[0]
    assert refusal(path) == (
        f"layer {layer.digest} unpacks to {layout.layers[0].diff_id}, the configuration says sha256:{said}"
    )
    manifest["layers"] = []
    rewrite_index(path, [Blobs(path).add_json(manifest, OCI_MANIFEST)])
    assert refusal(path) == "the manifest has 0 layers, the configuration 1"


def stored(tmp_path: Path, data: bytes, kind: str) -> Path:
    """A layout whose one layer blob is exactly these bytes, its digest right."""
    path = write_layout(tmp_path, [b""])
    layout = open_layout(path)
    config = path / "blobs" / "sha256" / layout.config_digest.hex
    manifest = {
        "config": {"digest": layout.config_digest, "size": config.stat().st_size, "mediaType": "config"},
        "layers": [Blobs(path).add(data, kind)],
    }
    rewrite_index(path, [Blobs(path).add_json(manifest, OCI_MANIFEST)])
    return path


@pytest.mark.parametrize(
    ("data", "kind", "why"),
    [
        (
            b"no gzip at all",
            "+gzip",
            ": the gzip stream is damaged: Error -3 while decompressing data: incorrect header check",
        ),
        (gzip.compress(tar(SMALL))[:-20], "+gzip", ": the gzip stream is cut"),
        (
            b"no zstd at all",
            "+zstd",
            ": the zstd stream is damaged: zstd decompress error: Unknown frame descriptor",
        ),
        (tar(SMALL)[:700], "", ": the tar is cut"),
        (tar(SMALL)[:512] + b"x" * 512, "", ": damaged tar header: invalid header"),
        (b"x" * 512, "", ": damaged tar header: invalid header"),
        (tar({"f": b"y" * 2000})[:1024], "", ": the tar cannot be read: unexpected end of data"),
    ],
)
def test_streams_that_do_not_unpack(tmp_path: Path, data: bytes, kind: str, why: str) -> None:
    path = stored(tmp_path, data, OCI_LAYER + kind)
    assert refusal(path) == f"layer {open_layout(path).layers[0].digest}{why}"


def test_an_unknown_layer_type_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, b"", "application/x-encrypted")
    assert refusal(path) == "the layer media type application/x-encrypted is not known"


def test_a_bomb_stops_at_the_budget(tmp_path: Path) -> None:
    layout = open_layout(write_layout(tmp_path, [{"zeros": b"\0" * 3_000_000}]))
    with (
        pytest.raises(BrokenLayout, match="the layers unpack to more than 1000000 bytes"),
        open_layer(layout, 0, Budget(1_000_000)),
    ):
        pass


def test_gunzip_gives_no_more_than_asked_for_and_reads_members_in_a_row() -> None:
    packed = gzip.compress(b"a" * 5_000_000) + gzip.compress(b"b" * 10)
    stream = Gunzip(io.BytesIO(packed))
    sizes, total = [], b""
    while chunk := stream.read(1000):
        sizes.append(len(chunk))
        total += chunk
    assert max(sizes) == 1000
    assert total == b"a" * 5_000_000 + b"b" * 10


# --- the stack ----------------------------------------------------------------------------------------------------


def stack(tmp_path: Path, *layers: Tree | bytes) -> Rootfs:
    with open_rootfs(open_layout(write_layout(tmp_path, layers)), keep=lambda *_: False) as rootfs:
        return rootfs


def paths(rootfs: Rootfs) -> list[str]:
    return [entry.path for entry in rootfs]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"a": b"1"}, {"a": b"22"}], ["a"]),
        ([{"d/a": b"", "d/b": b""}, {"d/.wh.a": b""}], ["d", "d/b"]),
        ([{"d/a": b"", "e": b""}, {".wh.d": b""}], ["e"]),
        ([{"d/a": b"", "d/s/b": b""}, {"d/.wh..wh..opq": b"", "d/c": b""}], ["d", "d/c"]),
        ([{"d/a": b"", "d/s/b": b""}, {"d/c": b"", "d/.wh..wh..opq": b""}], ["d", "d/c"]),
        ([{"d/s/b": b""}, {"d/s/c": b"", "d/.wh..wh..opq": b""}], ["d", "d/s", "d/s/c"]),
        ([{"d/a": b""}, {".wh.d": b"", "d": b"now a file"}], ["d"]),
        ([{"d/a": b""}, {"d": b"now a file"}], ["d"]),
        ([{"d": b"a file"}, {"d": folder(), "d/a": b""}], ["d", "d/a"]),
        ([{"d/a": b""}, {"d": folder(0o700)}], ["d", "d/a"]),
        (
            [{"usr/lib": folder(), "lib": symlink("usr/lib")}, {"lib/x.so": b""}],
            ["lib", "usr", "usr/lib", "usr/lib/x.so"],
        ),
        ([{"usr/lib/x": b"", "lib": symlink("/usr/lib")}, {"lib/.wh.x": b""}], ["lib", "usr", "usr/lib"]),
        ([{"a": b"1"}, {"b": hardlink("a")}], ["a", "b"]),
        ([{"./": folder(), "./a": b""}], ["a"]),
    ],
)
def test_layers_stack_as_an_engine_stacks_them(
    tmp_path: Path, layers: list[Tree], expected: list[str]
) -> None:
    assert paths(stack(tmp_path, *layers)) == expected


def test_the_later_layer_wins_and_history_keeps_both(tmp_path: Path) -> None:
    rootfs = stack(
        tmp_path, {"a": Node(data=b"1", mtime=1.5)}, {"a": Node(data=b"22", mode=0o600, uid=7, gid=8)}
    )
    entry = rootfs.get("/a")
    assert entry is not None
    assert (entry.size, entry.mode, entry.uid, entry.gid, entry.layer) == (2, 0o600, 7, 8, 1)
    assert [(old.size, old.layer, old.mtime) for old in rootfs.history()] == [
        (1, 0, 1.5),
        (2, 1, 1_600_000_000),
    ]


def test_a_hard_link_has_the_content_of_its_source(tmp_path: Path) -> None:
    layout = open_layout(write_layout(tmp_path, [{"a": b"text", "b": hardlink("a")}]))
    with open_rootfs(layout, keep=lambda *_: True) as rootfs:
        entry = rootfs.get("b")
        assert entry is not None
        assert (entry.read_text(), entry.source, entry.kind) == ("text", "a", Kind.FILE)


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"../etc/passwd": b""}, "the name '../etc/passwd' points outside the root"),
        ({"a/../../b": b""}, "the name 'a/../../b' points outside the root"),
        ({"/etc/passwd": b""}, "the name '/etc/passwd' points outside the root"),
        ({"b": hardlink("../a")}, "the name '../a' points outside the root"),
        ({"b": hardlink("a")}, "'b' is a hard link to 'a', which is not there"),
        ({"l": symlink("l"), "l/x": b""}, "the folder of 'l/x' cannot be reached"),
        ({"f": b"", "f/x": b""}, "'f' is a file and has something below it"),
        ({"n" * 5000: b""}, "a name of 5000 characters"),
        ({"x": Node(pax={"comment": "z" * (2 << 20)})}, f"a tar header of type b'x' says {(2 << 20) + 17} bytes"),
        ({"x": Node(type=b"S")}, "a sparse file, which no builder writes"),
        ({"x": Node(type=b"Z")}, "'x' is of the unknown type b'Z'"),
        ({"x": Node(pax={"mtime": "nan"})}, "'x' has no time"),
        ({"x": Node(pax={"GNU.sparse.size": "9", "GNU.sparse.map": "0,1"})},
         "'x' is sparse, of negative size or a link of more than 4096 characters"),
    ],
)  # fmt: skip
def test_what_no_honest_layer_holds_is_refused(tmp_path: Path, tree: Tree, why: str) -> None:
    path = write_layout(tmp_path, [tree])
    assert refusal(path) == f"layer {open_layout(path).layers[0].digest}: {why}"


def test_a_negative_size_is_refused(tmp_path: Path) -> None:
    header = bytearray(tar({"f": b""})[:512])
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    path = write_layout(tmp_path, [bytes(header) + b"\0" * 1024])
    assert refusal(path).endswith("a tar header of type b'0' says -256 bytes")


def test_links_out_of_the_root_stay_inside_and_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tree: Tree = {
        "out": symlink("../../../.."),
        "out/stolen": b"\x7fELF",
        "dev/sda": device(),
        "p": Node(type=b"6"),
    }
    layout = open_layout(write_layout(tmp_path / "x", [tree]))
    with open_rootfs(
        layout, keep=lambda _path, _size, head: head.startswith(ELF_MAGIC), scratch=scratch
    ) as rootfs:
        assert paths(rootfs) == ["dev", "dev/sda", "out", "p", "stolen"]
        kept = [file for file in scratch.rglob("*") if file.is_file()]
        assert [file.name for file in kept] == ["1"]
        assert rootfs.get("dev/sda") is not None
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/usr/lib/x.so.1", "usr/lib/x.so.1"),
        ("/lib/x.so", "usr/lib/x.so.1"),
        ("lib/../lib/./x.so", "usr/lib/x.so.1"),
        ("/../../lib/x.so", "usr/lib/x.so.1"),
        ("/loop", None),
        ("/up/usr/lib/x.so", "usr/lib/x.so.1"),
        ("/usr/lib/x.so.1/y", None),
        ("/nothing", None),
        ("/dangling", None),
    ],
)
def test_paths_are_followed_inside_the_root(tmp_path: Path, path: str, found: str | None) -> None:
    rootfs = stack(
        tmp_path,
        {
            "usr/lib/x.so.1": b"",
            "usr/lib/x.so": symlink("x.so.1"),
            "lib": symlink("usr/lib"),
            "loop": symlink("loop2"),
            "loop2": symlink("/loop"),
            "up": symlink("../../.."),
            "dangling": symlink("/nowhere"),
        },
    )
    entry = rootfs.resolve(path)
    assert (entry.path if entry else None) == found


def test_forty_links_are_followed_and_no_more(tmp_path: Path) -> None:
    chain: dict[str, bytes | Node] = {f"l{number}": symlink(f"l{number + 1}") for number in range(41)}
    rootfs = stack(tmp_path, chain | {"l41": b"end"})
    assert rootfs.resolve("l1") == rootfs.get("l41")
    assert rootfs.resolve("l0") is None


def test_relative_paths_start_at_the_base_and_folders_list_through_links(tmp_path: Path) -> None:
    rootfs = stack(tmp_path, {"app/bin/s": b"", "app/bin/t": b"", "b": symlink("app/bin")})
    assert rootfs.resolve("bin/s", base="/app") == rootfs.get("app/bin/s")
    assert [entry.path for entry in rootfs.folder("/b")] == ["app/bin/s", "app/bin/t"]
    assert [entry.path for entry in rootfs.folder("/")] == ["app", "b"]
    assert rootfs.folder("/none") == ()


def test_names_that_are_not_utf8_can_be_shown(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as archive:
        archive.addfile(tarfile.TarInfo(b"a\xff\n".decode(errors="surrogateescape")))
    rootfs = stack(tmp_path, buffer.getvalue())
    assert [printable(path) for path in paths(rootfs)] == ["/a\\xff\\x0a"]


def test_file_capabilities_are_seen(tmp_path: Path) -> None:
    rootfs = stack(tmp_path, {"ping": Node(pax={"SCHILY.xattr.security.capability": "x"}), "ls": b""})
    assert [entry.path for entry in rootfs if entry.capability] == ["ping"]


def test_image_json_is_read_back_equal(tmp_path: Path) -> None:
    name = Digest("sha256:" + "1" * 64)
    built = BuiltImage(
        recipe="minifork", variant="", fingerprint="f" * 64, digest=name, config_digest=name, platform="linux/amd64",
        size=3, layers=(Layer(digest=name, diff_id=name, size=3, what="COPY"),), seconds={"compile": 1.5}, compile_cache={"hits": 1},
        engine={"buildkit": "v0.13.2"},
    )  # fmt: skip
    write_artifact(tmp_path / "image.json", built)
    assert read_artifact(tmp_path / "image.json", BuiltImage, made_by="x") == built


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"rootfs": 1}, "rootfs is not an object"),
        ({"rootfs": {"diff_ids": ["x"]}, "architecture": "amd64", "os": "linux"},
         "rootfs.diff_ids: 'x' is not a sha256 digest"),
        ({"rootfs": {"diff_ids": []}, "architecture": 1}, "architecture is not a string"),
        ({"rootfs": {"diff_ids": []}, "architecture": "a", "os": "b", "config": {"Labels": {"l": "\ud800"}}},
         "config.Labels.l is not valid Unicode"),
        ({"rootfs": {"diff_ids": []}, "architecture": "a", "os": "b", "config": {"Env": "A=b"}},
         "config.Env is not a list"),
    ],
)  # fmt: skip
def test_configurations_that_are_none(document: object, why: str) -> None:
    from build.image.config import parse_config

    with pytest.raises(MalformedError) as caught:
        parse_config(document)
    assert str(caught.value) == why
