"""`verify` and `from-bundle` as a person and as a machine see them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.cli import main
from build.doors import store
from build.errors import WorkFailed
from build.recipe.refs import Digest
from build.verify.model import Difference, Rebuilt, Varied, Verdict, Verification
from build.verify.run import tell
from build.verify.variations import VARIATIONS
from tests.fakes import RecordingReporter
from tests.unit.report.pages import BUILT, PLAN


def test_the_variations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--list", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == dict(VARIATIONS)
    assert "no compile cache" in said.err
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    # Help is folded at hyphens too.
    words = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    assert all(f"{name}: {meaning}" in words for name, meaning in VARIATIONS)


def test_a_variation_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "minifork", "--without", "ccache,weather"]) == 2
    assert "there is no variation 'weather'" in capsys.readouterr().err


def test_an_image_of_a_registry_brings_its_toolchain(capsys: pytest.CaptureFixture[str]) -> None:
    image = f"registry.example.org/me/mini@sha256:{'1' * 64}"
    assert main(["verify", "--image", image, "--build-platform", "linux/arm64"]) == 2
    assert "an image of a registry brings its own toolchain" in capsys.readouterr().err


def test_a_builder_is_not_what_the_second_engine_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGOT_BUILDER", "farm")
    assert main(["verify", "minifork", "--build-platform", "linux/arm64"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "a second engine is this machine's own, the builder farm is not asked" in said
    assert "--without engine compiles on the builder again" in said


def test_what_is_not_built_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("INGOT_CACHE", str(tmp_path / "cache"))
    assert main(["verify"]) == 3
    assert main(["verify", "minifork"]) == 2
    assert "make it with `nox -s build -- minifork`" in capsys.readouterr().err


def test_a_bundle_is_built_into_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["from-bundle", str(tmp_path), "--into", str(tmp_path)]) == 2
    assert f"{tmp_path} is there already" in capsys.readouterr().err


def verification(verdict: Verdict, *differences: Difference, unlisted: int = 0) -> Verification:
    one = Rebuilt(
        digest=Digest(f"sha256:{'1' * 64}"), config_digest=Digest(f"sha256:{'2' * 64}"), diff_ids=(),
        engine={"buildkit": "1"}, seconds=1.0, jobs="2 jobs (2 cores)",
    )  # fmt: skip
    return Verification(
        recipe="mini", variant="", fingerprint="f", verdict=verdict, before=one, after=one,
        varied=(Varied(name="umask", before="0022", after="0002"),), differences=differences, unlisted=unlisted,
    )  # fmt: skip


def test_differing_fails_and_names_the_first() -> None:
    difference = Difference(
        layer=2, file="libmini-cuda.so", section=".nv_fatbin", what="module id", before="a", after="b"
    )
    found = verification(Verdict.DIFFERS, *(difference,) * 30, unlisted=5)
    reporter = RecordingReporter()
    with pytest.raises(WorkFailed) as error:
        tell(found, Path("out/mini"), reporter)
    assert error.value.exit_code == 1
    assert error.value.answer == found
    words = "layer 2, libmini-cuda.so, .nv_fatbin: module id: a, then b"
    assert error.value.message.endswith(words)
    assert reporter.all("output")[0] == f"  {words}"
    assert reporter.all("output")[-1] == "  and 15 more: out/mini/verify.json"


def test_what_compilers_of_another_platform_made_is_not_narrowed_down_by_leaving_conditions_out() -> None:
    found = verification(Verdict.DIFFERS, Difference(layer=3, file="x", section="y", what="z"))
    other = Varied(name="build-platform", before="linux/amd64", after="linux/arm64")
    for varied, words in ((found.varied, "--without"), ((*found.varied, other), "docs/arm64.md")):
        with pytest.raises(WorkFailed) as error:
            tell(replace(found, varied=varied), Path("out/mini"), RecordingReporter())
        assert error.value.hint.endswith(words)


@pytest.mark.parametrize("verdict", [Verdict.IDENTICAL, Verdict.OTHER_COMPRESSION])
def test_the_other_verdicts_are_no_failure(verdict: Verdict) -> None:
    reporter = RecordingReporter()
    tell(verification(verdict), Path("out/mini"), reporter)
    assert reporter.all("note")[-1] == f"mini: {verdict.value}: sha256:{'1' * 64}, in 1 s"


def test_images_of_wheels_are_passed_over_unless_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path))
    wheels = replace(PLAN, pin=replace(PLAN.pin, toolchain=None))
    for name, value in (
        ("plan.json", wheels),
        ("image.json", replace(BUILT, fingerprint=wheels.fingerprint)),
    ):
        store.write_artifact(tmp_path / "beellama" / name, value)
    assert main(["verify"]) == 0
    said = capsys.readouterr().err
    assert "beellama is passed over: only what is compiled can be built again from a bundle" in said
    for words in ((), ("--build-platform", "linux/arm64")):
        assert main(["verify", "beellama", *words]) == 2
        assert (
            "made of published wheels or of a vendor's image: only what is compiled has a bundle"
            in capsys.readouterr().err
        )
