from pathlib import Path

import pytest

from tests.layouts import EPOCH, Node, Tree, device, folder, symlink
from tests.unit.smoke.samples import findings, results


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"a": Node(mtime=EPOCH + 1)}, ["layer 2 has entries younger than the epoch 1600000000: /a"]),
        ({"a": Node(mtime=EPOCH + 0.5)}, ["layer 2 has entries younger than the epoch 1600000000: /a"]),
        (
            {name: Node(mtime=EPOCH + 9) for name in "abcde"},
            ["layer 2 has entries younger than the epoch 1600000000: /a, /b, /c and 2 more"],
        ),
        ({"a": Node(mtime=0)}, []),
        ({"a": Node(mode=0o666)}, ["/a can be changed by everybody (0666)"]),
        ({"a": folder(0o777)}, ["/a can be changed by everybody (0777)"]),
        ({"a": symlink("b")}, []),
        ({"a": device()}, ["/a is a device node"]),
        ({"dev/null": device()}, []),
    ],
)
def test_entries(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "timestamps", change) == expected


def test_hidden_entries_count_and_the_newest_is_shown(tmp_path: Path) -> None:
    layers: list[Tree] = [{"a": Node(mtime=EPOCH + 7)}, {".wh.a": b""}]
    result = results(tmp_path, *layers, names=("timestamps",))["timestamps"]
    assert result.reason == "layer 2 has entries younger than the epoch 1600000000: /a"
    assert result.detail["newest"] == {"0": EPOCH, "1": EPOCH, "2": EPOCH + 7}


def test_times_in_layers_of_a_publishers_image_are_its_own(tmp_path: Path) -> None:
    theirs: Tree = {"a": Node(mtime=EPOCH + 7)}
    ours: Tree = {"b": Node(mtime=EPOCH + 9)}
    assert findings(tmp_path / "theirs", "timestamps", theirs, {"b": Node(mtime=EPOCH)}, own_layers=1) == []
    assert findings(tmp_path / "ours", "timestamps", theirs, ours, own_layers=1) == [
        "layer 3 has entries younger than the epoch 1600000000: /b"
    ]
