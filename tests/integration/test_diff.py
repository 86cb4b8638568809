"""Two real builds of the sample side by side: what changed is said, exactly; also of images that lie in a registry."""

import json
import shutil
from typing import Any

import pytest

from tests.integration.conftest import Checkout, make_checkout

pytestmark = pytest.mark.engine

ARGS = "samples/minifork/common/args.cpp"


def changes(difference: dict[str, Any], *areas: str) -> list[tuple[str, str, str, str]]:
    found = [one for one in difference["changes"] if one["area"] in areas]
    return [(one["name"], one["kind"], one["before"], one["after"]) for one in found]


def diff(checkout: Checkout, left: str, right: str) -> dict[str, Any]:
    ran = checkout.run("diff", left, right, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def changed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, good: Checkout
) -> Checkout:
    """The sample after upstream renamed a flag, dropped a value, and changed a default; pushed before and after."""
    root = tmp_path_factory.mktemp("changed") / "changed"
    made = make_checkout(
        root, *(request.getfixturevalue(name) for name in ("settings", "engine", "loopback"))
    )
    # Of the same tree it is the same image; only where it is pushed to is another place.
    shutil.copytree(good.out, made.out, ignore=shutil.ignore_patterns("published", "push.json"))
    ran = made.run("push", "minifork")
    assert ran.code == 0, ran.err
    made.edit(ARGS, '{ { "--load-delay-ms" }', '{ { "--wait-ms" }')
    made.edit(ARGS, '"none,draft-mini,ngram"', '"none,draft-mini"')
    made.edit(ARGS, ' && type != "ngram"', "")
    made.edit(
        ARGS, "draft for speculative decoding (default: 4)", "draft for speculative decoding (default: 8)"
    )
    made.repin()
    ran = made.run("image", "minifork")
    assert ran.code == 0, ran.err
    return made


FLAGS = [
    ("--load-delay-ms", "gone", "--load-delay-ms N", ""),
    ("--wait-ms", "new", "", "--wait-ms N"),
]
VALUES = [("--spec-type", "gone", "ngram", "")]
DEFAULTS = [("--draft-max", "changed", "4", "8")]


def test_help_is_an_artifact_of_the_image(good: Checkout) -> None:
    listed = good.artifact("help")
    assert listed["digest"] == good.artifact("image")["digest"]
    (flag,) = [one for one in listed["flags"] if "--flash-attn" in one["spellings"]]
    assert flag["values"] == ["on", "off", "auto"]
    assert (flag["default"], flag["env"]) == ("auto", "MINI_ARG_FLASH_ATTN")
    detail = good.check("help")["detail"]
    assert detail == {"flags": 16, "unlisted": [], "removed": [], "unlisted_values": []}


def test_what_changed_since_the_last_push(changed: Checkout) -> None:
    difference = diff(changed, "published", "minifork")
    assert changes(difference, "flags") == FLAGS
    assert changes(difference, "values") == VALUES
    assert changes(difference, "defaults") == DEFAULTS
    assert changes(difference, "kernels", "patches", "toolchain") == []
    assert [name for name, *_ in changes(difference, "upstream")] == ["commit"]
    (layer,) = changes(difference, "layers")
    assert layer[:2] == ("COPY /collect/server/ /app/ # buildkit", "changed")
    assert {name.rpartition(".")[2] for name, *_ in changes(difference, "labels")} == {
        "fingerprint",
        "revision",
    }
    assert "kernels: all 1 library" in difference["same"]
    assert "patches: all 1" in difference["same"]
    assert [words.partition(":")[0] for words in difference["unknown"]] == ["upstream log"]


def test_people_read_it_too(changed: Checkout) -> None:
    ran = changed.run("diff", "published", "minifork")
    assert (ran.code, ran.out) == (0, "")
    assert "--load-delay-ms" in ran.err
    assert "same: kernels: all 1 library" in ran.err
    assert "not compared: upstream log" in ran.err


def test_a_variant_has_other_kernels_and_another_driver(good: Checkout, changed: Checkout) -> None:
    ran = changed.run("plan", "minifork", "--variant", "sm89")
    assert ran.code == 0, ran.err
    difference = diff(changed, "minifork", "minifork+sm89")
    assert changes(difference, "toolchain") == [("architectures", "changed", "120a-real", "89-real")]
    assert changes(difference, "flags", "kernels", "layers", "size") == []
    unknown = {words.partition(":")[0]: words for words in difference["unknown"]}
    assert set(unknown) == {"flags", "kernels", "layers and size"}
    assert "the image was not built" in unknown["flags"]


def test_images_in_a_registry(good: Checkout, changed: Checkout, checkout: Checkout) -> None:
    """Where nothing of them was built: their bytes are pulled by digest and read; nobody runs them."""
    shutil.copytree(changed.out, checkout.out)
    ran = checkout.run("push", "minifork")
    assert ran.code == 0, ran.err
    before, after = (next(iter(one.artifact("push")["refs"])) for one in (good, checkout))
    shutil.rmtree(checkout.out)
    difference = diff(checkout, before, f"{after}@{changed.artifact('image')['digest']}")
    assert changes(difference, "kernels", "patches", "toolchain") == []
    assert [name for name, *_ in changes(difference, "layers")] == ["COPY /collect/server/ /app/ # buildkit"]
    assert [name for name, *_ in changes(difference, "upstream")] == ["commit"]
    assert "kernels: all 1 library" in difference["same"]
    unknown = {words.partition(":")[0]: words for words in difference["unknown"]}
    assert set(unknown) == {"flags", "locks and packages", "upstream log"}
    assert "an image tells its flags only when it is run" in unknown["flags"]


def test_an_image_in_a_registry_that_was_pushed_from_here_tells_its_flags(changed: Checkout) -> None:
    receipt = json.loads((changed.out / "minifork/published/push.json").read_text())
    difference = diff(changed, next(iter(receipt["refs"])), "minifork")
    assert changes(difference, "flags") == FLAGS


def test_an_operand_that_means_nothing(good: Checkout) -> None:
    assert good.run("diff", "minifork", "no-such").code == 3
    assert good.run("diff", "minifork", "llama-cpp").code == 2
    assert good.run("diff", "minifork", "127.0.0.1:9/ns/x:1").code == 4


def test_a_promised_flag_that_is_gone(good: Checkout, checkout: Checkout, nothing_left: None) -> None:
    checkout.edit(ARGS, '{ { "--draft-max" }', '{ { "--spec-draft-n-max" }')
    checkout.repin()
    ran = checkout.run("image", "minifork")
    assert ran.code == 1, ran.err
    assert checkout.check("arguments")["reason"] == (
        "the promised `--draft-max 8` is refused, --draft-max is gone: --help does not list it either: "
        "error: invalid argument: --draft-max"
    )
    assert checkout.check("help")["outcome"] == "passed"
    assert checkout.check("help")["detail"]["unlisted"] == ["--draft-max"]
    assert checkout.run("push", "minifork").code == 1
    assert not (checkout.out / "minifork" / "push.json").exists()


def test_a_help_that_says_nothing(good: Checkout, checkout: Checkout, nothing_left: None) -> None:
    checkout.edit(ARGS, "        parse.print_help(argv[0]);\n", "")
    checkout.repin()
    ran = checkout.run("image", "minifork")
    assert ran.code == 1, ran.err
    assert checkout.check("help")["reason"] == "`--help` prints nothing"
    assert checkout.check("arguments")["outcome"] == "passed"
    assert not (checkout.out / "minifork" / "help.json").exists()
