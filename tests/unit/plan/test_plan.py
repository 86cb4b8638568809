import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.errors import BadRequest
from build.plan.labels import labels
from build.plan.model import ImagePlan
from build.plan.plan import Places, filled, make_plan, unpinned
from build.recipe.model import CMakeOption, SdistSource
from build.recipe.refs import Commit
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES


@pytest.fixture
def plan() -> ImagePlan:
    return make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES)


def test_labels_are_upstreams_and_say_nothing_of_the_host() -> None:
    assert labels(RECIPE, "no-vmm", PIN) == {
        "org.opencontainers.image.title": "Mini",
        "org.opencontainers.image.version": "b42",
        "org.opencontainers.image.source": "https://git.example.org/mini",
        "org.opencontainers.image.revision": "0123456789" * 4,
        "org.opencontainers.image.created": "2026-03-01T10:00:00Z",
        "org.opencontainers.image.base.digest": f"sha256:{'8' * 64}",
        "ingot.recipe": "mini",
        "ingot.variant": "no-vmm",
        "ingot.cuda": "13.0",
        "ingot.architectures": "120a-real",
        "ingot.driver": "linked",
        "ingot.driver.minimum": "580.65.06",
        "ingot.patches": "mini/0001-a.patch@444444444444",
    }


def test_labels_without_a_value_are_left_out() -> None:
    plain = replace(RECIPE, patches=())
    found = labels(plain, "", replace(PIN, source=replace(PIN.source, patches=())))
    assert "ingot.patches" not in found
    assert "ingot.variant" not in found


def test_an_archive_names_the_project_it_carries() -> None:
    source = SdistSource(
        sdist="x==1", sha256="a" * 64, subdir="v", upstream="https://example.org/up.git",
        commit=Commit("a" * 40), version="b1",
    )  # fmt: skip
    found = labels(replace(RECIPE, source=source), "", PIN)
    assert found["org.opencontainers.image.source"] == "https://example.org/up"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/r/out/x", "out/x"),
        ("/r", "."),
        ("/elsewhere/x", "/elsewhere/x"),
        ("/rr/x", "/rr/x"),
        ("/r/a b", "a b"),
    ],
)
def test_places_are_relative_to_the_root_where_they_can_be(path: str, text: str) -> None:
    root = Path("/r")
    assert Places(root=root, out=root).text(Path(path)) == text


def test_everything_the_pin_knows_is_filled_in() -> None:
    whole = filled(RECIPE)
    assert whole.image.tags == ("latest", "b42-0123456")
    assert [option.value for option in whole.cmake] == ["ON", "42", "OFF"]
    assert whole.smoke.version == "version: 42 (012345678)"
    assert whole.smoke.endpoints[0].expect == "b42"
    assert whole.serve.args == ("-m", "{model}", "--alias", "mini-0123456"), "the rest waits for the run"
    assert whole.smoke.args == ("-m", "{model}", "--port", "{port}")


def test_an_unknown_placeholder_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        filled(replace(RECIPE, cmake=(CMakeOption(name="A", value="{nothing}"),)))
    assert refused.value.message == "mini: nothing is known for the placeholder {nothing}"


def test_tags(plan: ImagePlan) -> None:
    assert plan.tag == f"b42-cu130-sm120a-{plan.fingerprint[:12]}"
    assert plan.moving_tags == ("latest", "b42-0123456")


def test_a_variant_has_tags_and_a_folder_of_its_own() -> None:
    plan = make_plan(RECIPE, "no-vmm", PIN, templates=TEMPLATES, places=PLACES)
    assert plan.name == "mini+no-vmm"
    assert plan.tag == f"b42-cu130-sm120a-no-vmm-{plan.fingerprint[:12]}"
    assert plan.moving_tags == ("latest-no-vmm", "b42-0123456-no-vmm")


@pytest.mark.parametrize("variant", ["", "no-vmm"])
def test_the_bake_file_binds_the_names(variant: str) -> None:
    plan = make_plan(RECIPE, variant, PIN, templates=TEMPLATES, places=PLACES)
    document = json.loads(dict(plan.files)["docker-bake.json"])
    assert document["group"] == {"default": {"targets": [plan.target]}}
    target = document["target"][plan.target]
    assert target["contexts"] == {
        "toolchain": f"oci-layout:///elsewhere/toolchain/layout@sha256:{'6' * 64}",
        "base": f"oci-layout://.cache/base/layout@sha256:{'8' * 64}",
        "source": ".cache/sources/2",
    }
    assert (target["context"], target["dockerfile"]) == ("out/mini/context", "../Dockerfile")
    assert target["platforms"] == ["linux/amd64"]
    assert target["labels"] == dict(plan.labels)
    assert target["labels"]["ingot.fingerprint"] == plan.fingerprint
    assert target["output"] == [
        "type=oci,dest=out/mini/image,tar=false,rewrite-timestamp=true,oci-mediatypes=true,compression=gzip"
    ]


@pytest.mark.parametrize("variant", ["", "no-vmm"])
def test_bake_takes_the_targets_name(variant: str) -> None:
    target = make_plan(RECIPE, variant, PIN, templates=TEMPLATES, places=PLACES).target
    assert target.replace("-", "").replace("_", "").isalnum()


def test_an_unpinned_plan_proves_nothing() -> None:
    pin = unpinned(RECIPE, toolchain_lock="t", base_lock="b")
    assert pin.toolchain is not None
    assert pin.toolchain.digest == pin.base.digest == f"sha256:{'0' * 64}"
    assert (pin.toolchain.lock, pin.base.lock) == ("t", "b")
    assert pin.source.commit == RECIPE.source.commit  # type: ignore[union-attr]


def test_a_plan_is_read_back_as_it_was_written(plan: ImagePlan, tmp_path: Path) -> None:
    store.write_artifact(tmp_path / "plan.json", plan)
    assert store.read_artifact(tmp_path / "plan.json", ImagePlan, made_by="x") == plan
