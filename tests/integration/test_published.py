"""history and rollback as they are typed, against the distribution's server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest

from build.doors.registry import HttpRegistry
from build.recipe.check import check
from build.recipe.model import Recipe
from build.settings import Namespace
from tests.integration.conftest import Checkout, Ran
from tests.unit.publish.published import Upstream, publish

pytestmark = pytest.mark.engine

STATES = tuple(Upstream(number=number) for number in (1, 2, 3))
TAGS = tuple(f"b{number}-cu130-sm120a-{number}eeeeeeeeeee" for number in (1, 2, 3))


@pytest.fixture
def recipe(checkout: Checkout) -> Recipe:
    return next(one for one in check(checkout.root) if one.name == "minifork")


@pytest.fixture
def published(checkout: Checkout, recipe: Recipe, tmp_path: Path) -> Checkout:
    """Three images of the sample's recipe, pushed one after the other."""
    host, _, path = checkout.env["INGOT_REGISTRY"].partition("/")
    namespace = Namespace(host=host, path=f"{path}/{tmp_path.name.lower().replace('_', '-')}")
    checkout.env["INGOT_REGISTRY"] = str(namespace)
    for state in STATES:
        publish(HttpRegistry(docker_config=tmp_path), namespace, tmp_path, state, recipe=recipe)
    return checkout


def answer(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def latest(checkout: Checkout) -> str:
    (found,) = answer(checkout.run("history", "minifork", "--json"))
    (tag,) = [image["tag"] for image in found["images"] if "latest" in image["moving_tags"]]
    return str(tag)


def test_there_and_back(published: Checkout) -> None:
    (found,) = answer(published.run("history", "minifork", "--json"))
    assert [image["tag"] for image in found["images"]] == list(reversed(TAGS))
    assert found["images"][0]["moving_tags"] == ["b3", "latest"]
    newest, middle = found["images"][0]["digest"], found["images"][1]["digest"]
    dry = published.run("rollback", "minifork", "--dry-run", "--json")
    assert answer(dry)["done"] is False
    assert f"would move to {TAGS[1]}" in " ".join(dry.err.split())
    assert latest(published) == TAGS[2]
    assert not (published.out / "minifork" / "rollback.json").exists()
    moved = answer(published.run("rollback", "minifork", "--json"))
    (change,) = moved["tags"]
    assert (change["before"], change["after"], moved["done"]) == (newest, middle, True)
    assert latest(published) == TAGS[1]
    assert published.artifact("rollback") == moved
    again = published.run("rollback", "minifork", "--to", middle)
    assert (again.code, latest(published)) == (0, TAGS[1])
    assert f"nothing to do: every moving tag points at {TAGS[1]} already" in again.err
    assert published.run("rollback", "minifork", "--to", newest).code == 0
    assert latest(published) == TAGS[2]


def test_a_rollback_that_was_killed_is_completed(published: Checkout) -> None:
    moved = answer(published.run("rollback", "minifork", "--json"))
    # As a kill behind the last tag leaves it: everything has moved, and nobody wrote that it is done.
    record = published.out / "minifork" / "rollback.json"
    record.write_text(json.dumps({**moved, "done": False}))
    ran = published.run("rollback", "minifork")
    assert ran.code == 0
    assert f"completing the rollback to {TAGS[1]} that was cut short" in ran.err
    assert latest(published) == TAGS[1]
    assert published.run("rollback", "minifork").code == 0
    assert latest(published) == TAGS[0]


def test_not_there_and_not_reached_are_different_answers(published: Checkout) -> None:
    for verb, said in (
        ("history", "minifork: not in the registry"),
        ("rollback", "minifork is not in the registry"),
    ):
        words = (verb, "minifork")
        nothing = published.run(*words, INGOT_REGISTRY=f"{published.env['INGOT_REGISTRY']}/nobody")
        assert nothing.code == 3, nothing.err
        assert said in " ".join(nothing.err.split())
        lost = published.run(*words, INGOT_REGISTRY="127.0.0.1:1/team")
        assert lost.code == 4, lost.err
        assert "127.0.0.1:1 cannot be reached: Connection refused" in " ".join(lost.err.split())
    assert latest(published) == TAGS[2]


def test_recipes_that_are_not_there_do_not_hide_those_that_are(published: Checkout) -> None:
    ran = published.run("history", "--json")
    assert [one["recipe"] for one in answer(ran)] == ["minifork"]
    assert "llama-cpp: not in the registry" in " ".join(ran.err.split())
    ran = published.run("history", "minifork", "llama-cpp", "--json")
    assert ran.code == 3
    assert [one["recipe"] for one in json.loads(ran.out)["done"]] == ["minifork"]
    assert f"minifork in {published.env['INGOT_REGISTRY']}/minifork, newest first" in " ".join(
        ran.err.split()
    )


def test_a_wrong_target_is_refused_and_nothing_moves(published: Checkout) -> None:
    absent = published.run("rollback", "minifork", "--to", f"sha256:{'0' * 64}")
    assert absent.code == 3
    assert published.run("rollback", "minifork", "--variant", "no-vmm").code == 3
    assert latest(published) == TAGS[2]


def test_what_was_really_built_and_pushed_is_the_history(good: Checkout) -> None:
    (found,) = answer(good.run("history", "minifork", "--json"))
    built, pushed = good.artifact("image"), good.artifact("push")
    (image,) = found["images"]
    assert (image["digest"], image["fingerprint"], image["size"]) == (
        built["digest"], built["fingerprint"], built["size"],
    )  # fmt: skip
    pinned = good.artifact("pin")["source"]
    assert (image["commit"], image["created"]) == (pinned["commit"], pinned["committed_at"])
    assert {f"{found['repository']}:{tag}" for tag in (image["tag"], *image["moving_tags"])} == set(
        pushed["refs"]
    )
    nothing = good.run("rollback", "minifork")
    assert nothing.code == 3
    assert f"nothing in the registry is older than {image['tag']}" in " ".join(nothing.err.split())
