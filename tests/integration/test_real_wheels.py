"""Our patches for vLLM on vLLM's own wheels: 680 MB of downloads, so only when they are asked for. Needs no engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from build.doors import store
from build.pin.model import PatchProof, PinnedSource
from build.pin.patches import PatchRefused
from build.pin.patching import Patching
from tests.unit.pin.repositories import make_sources
from tests.unit.pin.test_patching import installed, recipe

ROOT = Path(__file__).parents[2]
WHEELS = {
    "0.19.1": ("manylinux_2_31_x86_64", "71a87f46cafab4489c69a5c5c83b870d0235e5694d8222303d460576293dc719"),
    "0.20.0": ("manylinux_2_35_x86_64", "24d28892e210200f6e1bd13f699c42a74cd2bb7364c11248e2348f677c7f6dfb"),
}
TMA = "vllm-mtp/0001-fla-no-tma-on-consumer-blackwell.patch"
CAPTURE = "vllm-genesis/0001-turboquant-no-copy-to-the-cpu-in-a-capture.patch"
FLA = "vllm/model_executor/layers/fla/ops/utils.py"

pytestmark = pytest.mark.skipif(
    os.environ.get("INGOT_TEST_REAL") != "1",
    reason="downloads 680 MB of wheels: INGOT_TEST_REAL=1",
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Fetch both wheels by their hashes. PIP_FIND_LINKS names a folder that has them already."""
    folder = tmp_path_factory.mktemp("wheels")
    found = {}
    for version, (platform, digest) in WHEELS.items():
        lock = folder / f"{version}.txt"
        lock.write_text(f"vllm=={version} --hash=sha256:{digest}\n")
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
        target = ("--platform", platform, "--python-version", "3.11", "--require-hashes")
        subprocess.run((*pip, *target, "--dest", str(folder), "--requirement", str(lock)), check=True)
        (found[version],) = folder.glob(f"vllm-{version}-*.whl")
        assert store.sha256_file(found[version]) == digest
    return found


def prove(tmp_path: Path, patch: str, wheel: Path) -> PatchProof:
    target = tmp_path / "patches" / patch
    target.parent.mkdir(parents=True)
    target.write_bytes((ROOT / "patches" / patch).read_bytes())
    pinned = PinnedSource(
        url="", commit="", committed_at="", tree="", patched_tree="", archive_sha256=wheel.name, links=()
    )
    found = Patching(sources=make_sources(tmp_path)).diffs(recipe(patch), pinned, installed(wheel))
    return found.patches[0]


def test_the_tma_patch_is_exact_on_0_19_1(tmp_path: Path, wheels: dict[str, Path]) -> None:
    proof = prove(tmp_path, TMA, wheels["0.19.1"])
    assert (proof.verdict, proof.touches) == ("clean", (FLA,))
    (change,) = proof.changes
    assert (change.path, change.before == change.after) == (FLA, False)


def test_the_tma_patch_has_no_target_on_0_20_0(tmp_path: Path, wheels: dict[str, Path]) -> None:
    with pytest.raises(PatchRefused) as refused:
        prove(tmp_path, TMA, wheels["0.20.0"])
    assert refused.value.message == (
        f"patches/{TMA} conflicts with the source at {FLA}:152: its target is gone, "
        f"{FLA} has none of the lines that it changes"
    )


def test_the_capture_guard_is_exact_on_0_20_0(tmp_path: Path, wheels: dict[str, Path]) -> None:
    proof = prove(tmp_path, CAPTURE, wheels["0.20.0"])
    assert (proof.verdict, proof.touches) == ("clean", ("vllm/v1/attention/backends/turboquant_attn.py",))


def test_the_capture_guard_has_no_target_on_0_19_1(tmp_path: Path, wheels: dict[str, Path]) -> None:
    with pytest.raises(
        PatchRefused, match="its target is gone: the source has no vllm/v1/attention/backends"
    ):
        prove(tmp_path, CAPTURE, wheels["0.19.1"])
