"""The road's own decisions: what may be pushed, what need not be done again, what a failure stops."""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Never

import pytest

from build.doors import store
from build.errors import BadRequest, IngotError, SmokeFailed, Unreachable, WorkFailed
from build.image.build import rendered, write_rendered
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.pin.model import Pin
from build.plan.model import ImagePlan
from build.plan.plan import make_plan
from build.publish.model import PushReceipt
from build.recipe.model import Recipe
from build.recipe.refs import Digest, ImageRef
from build.report.times import BuildTimes
from build.report.write import FILES, TIMES, discard_report
from build.road import Road
from build.settings import Settings, from_env
from build.several import SeveralFailed
from build.several import each as do_each
from build.smoke.clihelp import ImageHelp
from build.smoke.model import CheckResult, Outcome, SmokeReport
from build.smoke.run import covers, expectations_of
from tests.fakes import FakeRegistry, RecordingReporter
from tests.layouts import write_layout
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES

REPOSITORY = ImageRef(registry="localhost:5000", repository="ns/mini")


@dataclass
class Made:
    """An image whose artifacts lie below out/, and a road to push it on."""

    road: Road
    out: Path
    plan: ImagePlan
    built: BuiltImage
    report: SmokeReport
    registry: FakeRegistry

    def push(self) -> PushReceipt:
        return self.road.push(self.plan.name)

    def write(self, name: str, value: object) -> None:
        store.write_artifact(self.out / name, value)

    def refused(self, kind: type[IngotError]) -> tuple[str, str]:
        with pytest.raises(kind) as error:
            self.push()
        assert self.registry.tagged == {}, "something was pushed"
        assert self.registry.calls == [], "the registry was asked"
        assert not (self.out / "push.json").exists()
        return error.value.message, error.value.hint


def settings(tmp_path: Path, **env: str) -> Settings:
    return from_env({"INGOT_REGISTRY": "localhost:5000/ns", "HOME": str(tmp_path), **env}, tmp_path)


def report_of(plan: ImagePlan, built: BuiltImage, **changed: Outcome) -> SmokeReport:
    expect = expectations_of(plan)
    outcomes = dict.fromkeys(expect.required, Outcome.PASSED) | changed
    checks = tuple(
        CheckResult(name=name, outcome=outcome, reason="" if outcome is Outcome.PASSED else "a reason")
        for name, outcome in outcomes.items()
    )
    return SmokeReport.of(built, expect, checks)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    out = tmp_path / "out" / "mini"
    plan = make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES)
    layout = open_layout(write_layout(out / "image", [{"app/x": b"x"}], config={"Labels": dict(plan.labels)}))
    built = BuiltImage(
        recipe="mini", variant="", fingerprint=plan.fingerprint, digest=layout.digest,
        config_digest=layout.config_digest, platform=layout.platform, size=sum(one.size for one in layout.layers),
        layers=layout.layers, seconds={}, compile_cache={}, engine={},
    )  # fmt: skip
    registry: Any = FakeRegistry()
    road = Road(settings=settings(tmp_path), reporter=RecordingReporter())
    road.registry = registry
    found = Made(road, out, plan, built, report_of(plan, built), registry)
    for name, value in (("plan.json", plan), ("image.json", built), ("smoke.json", found.report)):
        found.write(name, value)
    return found


def test_a_verified_image_is_pushed_under_one_digest(made: Made) -> None:
    receipt = made.push()
    tags = made.registry.tagged[f"{REPOSITORY.registry}/{REPOSITORY.repository}"]
    assert set(tags) == {made.plan.tag, *made.plan.moving_tags}
    assert set(tags.values()) == {made.built.digest}
    assert store.read_artifact(made.out / "push.json", PushReceipt, made_by="x") == receipt


def test_what_was_pushed_is_kept_until_the_next_push(made: Made) -> None:
    made.write("help.json", ImageHelp(digest=made.built.digest, flags=()))
    made.push()
    kept = made.out / "published"
    names = ["help.json", "image.json", "pin.json", "plan.json", "push.json", "smoke.json"]
    assert sorted(path.name for path in kept.iterdir()) == names
    for name in names:
        if name != "pin.json":
            assert (kept / name).read_bytes() == (made.out / name).read_bytes()
    assert store.read_artifact(kept / "pin.json", Pin, made_by="x") == made.plan.pin
    (made.out / "help.json").unlink()
    made.push()
    assert not (kept / "help.json").exists(), "it is of the image before"
    assert not list(made.out.glob(".published*"))


def test_a_push_that_fails_keeps_what_was_kept(made: Made) -> None:
    made.push()
    before = {path.name: path.read_bytes() for path in (made.out / "published").iterdir()}
    (made.out / "push.json").unlink()
    made.registry.fail_at = len(made.registry.calls) + 1
    with pytest.raises(Unreachable):
        made.push()
    assert {path.name: path.read_bytes() for path in (made.out / "published").iterdir()} == before


def test_a_push_writes_the_pages(made: Made) -> None:
    receipt = made.push()
    text = (made.out / "report.md").read_text()
    assert text.splitlines()[0] == f"# passed: `mini:{made.plan.tag}@{made.built.digest}`"
    assert all(ref in text for ref in receipt.refs)


def test_pages_are_written_again_from_the_artifacts(made: Made) -> None:
    made.push()
    before = {name: (made.out / name).read_bytes() for name in FILES}
    discard_report(made.out)
    written = made.road.report(made.plan.name)
    assert (written.name, written.standing.value) == ("mini", "passed")
    assert {name: (made.out / name).read_bytes() for name in FILES} == before


def test_pages_of_an_image_of_another_plan_are_not_written(made: Made) -> None:
    made.write("image.json", replace(made.built, fingerprint="0" * 64))
    with pytest.raises(WorkFailed, match=r"image\.json is of another plan"):
        made.road.report("mini")
    assert not (made.out / "report.md").exists()


def test_no_smoke_no_push(made: Made) -> None:
    (made.out / "smoke.json").unlink()
    assert made.refused(BadRequest) == (
        f"{made.out / 'smoke.json'} does not exist",
        "make it with `nox -s smoke -- mini`",
    )


def test_the_smoke_of_another_digest_is_no_smoke(made: Made) -> None:
    other = Digest(f"sha256:{'9' * 64}")
    made.write("smoke.json", replace(made.report, digest=other))
    assert made.refused(SmokeFailed) == (
        f"mini: the smoke report is for {other}, the image is {made.built.digest}",
        "only an image that passed its smoke checks can be pushed",
    )


def test_a_failed_smoke_is_no_smoke(made: Made) -> None:
    made.write("smoke.json", report_of(made.plan, made.built, closure=Outcome.FAILED))
    assert made.refused(SmokeFailed)[0] == "mini: failed: closure"


def test_a_skipped_check_that_is_required_is_no_smoke(made: Made) -> None:
    made.write("smoke.json", report_of(made.plan, made.built, health=Outcome.SKIPPED))
    assert made.refused(SmokeFailed)[0] == "mini: the required check 'health' was skipped: a reason"


def test_expectations_that_changed_since(made: Made) -> None:
    smoke = replace(RECIPE.smoke, flags=("--new-promise",))
    plan = make_plan(replace(RECIPE, smoke=smoke), "", PIN, templates=TEMPLATES, places=PLACES)
    assert plan.fingerprint == made.plan.fingerprint, "expectations are no part of it"
    made.write("plan.json", plan)
    assert made.refused(WorkFailed) == (
        "mini: the smoke report answers other expectations than the plan's",
        "nox -s smoke -- mini",
    )


def test_an_image_of_another_plan(made: Made) -> None:
    made.write("image.json", replace(made.built, fingerprint="0" * 64))
    assert made.refused(WorkFailed) == (
        "mini: image.json is of another plan than plan.json",
        "nox -s build -- mini",
    )


def test_a_layout_that_was_changed_since(made: Made) -> None:
    blob = made.out / "image" / "blobs" / "sha256" / made.built.layers[0].digest.hex
    blob.write_bytes(blob.read_bytes() + b"x")
    with pytest.raises(IngotError) as error:
        made.push()
    assert error.value.exit_code == 1
    assert made.registry.tagged == {}


def test_nowhere_to_push_to(made: Made) -> None:
    made.road.settings = replace(made.road.settings, registry=None)
    assert made.refused(BadRequest) == (
        "INGOT_REGISTRY is not set: nowhere to push to",
        "INGOT_REGISTRY=registry.example.org/namespace",
    )


def test_a_registry_that_is_lost_is_no_receipt(made: Made) -> None:
    made.registry.fail_at = 1
    with pytest.raises(Unreachable):
        made.push()
    assert not (made.out / "push.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": "x"}'])
def test_a_smoke_report_that_cannot_be_read_is_none(made: Made, text: str) -> None:
    (made.out / "smoke.json").write_text(text)
    assert made.refused(BadRequest)[1] == "make it with `nox -s smoke -- mini`"


def test_what_covers_an_image(made: Made) -> None:
    expect = expectations_of(made.plan)
    assert covers(made.report, made.built, expect)
    assert not covers(None, made.built, expect)
    assert not covers(made.report, replace(made.built, digest=Digest(f"sha256:{'9' * 64}")), expect)
    assert not covers(made.report, made.built, replace(expect, flags=("--x",)))
    assert not covers(report_of(made.plan, made.built, closure=Outcome.FAILED), made.built, expect)


def test_a_required_check_that_was_skipped_covers_nothing(made: Made) -> None:
    report = report_of(made.plan, made.built, health=Outcome.SKIPPED)
    assert report.outcome is Outcome.PASSED
    assert not covers(report, made.built, expectations_of(made.plan))


def test_static_checks_keep_what_the_running_ones_found(made: Made) -> None:
    """The fixture's image is no good one: its static checks fail, and its earlier running checks are still there."""
    with pytest.raises(SmokeFailed, match="mini: failed: link_facts, gpu_code, user, timestamps"):
        made.road.smoke("mini", static=True)
    report = store.read_artifact(made.out / "smoke.json", SmokeReport, made_by="x")
    found = {check.name: check for check in report.checks}
    assert found["gpu_code"].reason.startswith("no compiled library below /app holds device code")
    assert found["health"].outcome is Outcome.PASSED


def test_a_layout_that_was_cut_is_a_failed_check(made: Made) -> None:
    blob = made.out / "image" / "blobs" / "sha256" / made.built.layers[0].digest.hex
    blob.write_bytes(blob.read_bytes()[:-9])
    with pytest.raises(SmokeFailed, match="mini: failed: layout"):
        made.road.smoke("mini", static=True)
    report = store.read_artifact(made.out / "smoke.json", SmokeReport, made_by="x")
    (layout, closure, *_) = report.checks
    assert str(made.built.layers[0].digest) in layout.reason
    assert closure.reason == "the layout cannot be read"


def test_static_checks_alone_let_nothing_be_pushed(made: Made) -> None:
    (made.out / "smoke.json").unlink()
    with pytest.raises(SmokeFailed):
        made.road.smoke("mini", static=True)
    report = store.read_artifact(made.out / "smoke.json", SmokeReport, made_by="x")
    found = {check.name: check for check in report.checks}
    assert found["health"].reason == "only the static checks were asked for"
    assert found["gpu"].outcome is Outcome.SKIPPED
    made.refused(SmokeFailed)


def fail(error: IngotError) -> Never:
    raise error


def each(*calls: Callable[[], str]) -> tuple[list[str] | SeveralFailed, RecordingReporter]:
    reporter = RecordingReporter()
    try:
        return do_each(((f"r{number}", call) for number, call in enumerate(calls)), reporter), reporter
    except SeveralFailed as error:
        return error, reporter


def test_a_failure_does_not_stop_the_others() -> None:
    seen: list[str] = []

    def good(name: str) -> str:
        seen.append(name)
        return name

    failed, reporter = each(
        partial(good, "a"),
        partial(fail, WorkFailed("the patch conflicts", hint="refresh it")),
        partial(good, "b"),
    )
    assert seen == ["a", "b"]
    assert isinstance(failed, SeveralFailed)
    assert failed.message == "r1: the patch conflicts"
    assert failed.exit_code == 1
    assert reporter.all("error") == ["r1: the patch conflicts  hint: refresh it"]


def test_all_good_is_a_list() -> None:
    assert each(lambda: "a", lambda: "b")[0] == ["a", "b"]


def test_what_the_system_refuses_for_one_does_not_stop_the_others() -> None:
    def refuse() -> Never:
        raise PermissionError(13, "Permission denied", "out/a/.lock")

    failed, reporter = each(refuse, lambda: "b")
    assert isinstance(failed, SeveralFailed)
    assert failed.done == ["b"]
    assert failed.message == "r0: out/a/.lock: Permission denied"
    assert reporter.all("error") == [f"{failed.message}  hint: the path belongs to somebody else"]


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((Unreachable("x"),), 4),
        ((Unreachable("x"), Unreachable("y")), 4),
        ((BadRequest("x"),), 2),
        ((Unreachable("x"), BadRequest("y")), 1),
        ((WorkFailed("x"), BadRequest("y")), 1),
    ],
)
def test_the_code_of_several_failures(errors: tuple[IngotError, ...], code: int) -> None:
    failed, _ = each(*(partial(fail, error) for error in errors))
    assert isinstance(failed, SeveralFailed)
    assert failed.exit_code == code


def test_an_interrupt_stops_the_others() -> None:
    def interrupt() -> Never:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each(interrupt, partial(fail, WorkFailed("the second was begun")))


def test_rendered_files_that_somebody_changed_are_written_again(tmp_path: Path) -> None:
    plan = make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES)
    write_rendered(plan, tmp_path)
    assert rendered(plan, tmp_path)
    (tmp_path / "docker-bake.json").write_text("{}")
    assert not rendered(plan, tmp_path)
    write_rendered(plan, tmp_path)
    (tmp_path / "context" / "scripts" / "probe.sh").unlink()
    assert not rendered(plan, tmp_path)


def test_packages_that_moved_under_one_lock_are_said(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    road = Road(settings=settings(tmp_path), reporter=reporter)
    out = tmp_path / "out" / "mini"
    before = replace(PIN, base=replace(PIN.base, packages=("libc6=2.36-9+deb12u9",)))
    after = replace(
        PIN, base=replace(PIN.base, digest=Digest("sha256:" + "e" * 64), packages=("libc6=2.36-9+deb12u10",))
    )
    road.__dict__["resolver"] = Answering(after)
    (out / "published").mkdir(parents=True)
    for kept in (out / "pin.json", out / "published" / "pin.json"):
        for stale in (out / "pin.json", out / "published" / "pin.json"):
            stale.unlink(missing_ok=True)
        store.write_artifact(kept, before)
        reporter.said.clear()
        (one,) = road.resolve(RECIPE, "").moved
        assert one.changed == (("libc6", "2.36-9+deb12u9", "2.36-9+deb12u10"),)
        assert f"mini: {one}" in reporter.all("note")
        again = road.resolve(RECIPE, "").moved
        assert again == ((one,) if kept.parent.name == "published" else ()), "said until it ships"
    store.write_artifact(out / "published" / "pin.json", after)
    assert road.resolve(RECIPE, "").moved == ()


@dataclass
class Answering:
    """A resolver that proves one pin, whatever it is asked."""

    pin: Pin
    asked: list[str] = field(default_factory=list)

    def resolve(self, recipe: Recipe, *, known: Pin | None) -> Pin:
        del known
        self.asked.append(recipe.name)
        return self.pin

    def prove(self, _recipe: object, _pin: Pin) -> None:
        """Find nothing changed."""

    def contexts(self, _recipe: object, _pin: Pin) -> tuple[()]:
        return ()

    def layouts(self, _recipe: object, _pin: Pin) -> tuple[()]:
        return ()


class NeverWaiting(RecordingReporter):
    """Fails where a run is about to wait for another one; nobody would end that."""

    def note(self, message: str) -> None:
        assert "waiting for another run" not in message
        super().note(message)


VERB = """
import json, sys
print("begun", file=sys.stderr)
print(json.dumps([{"recipe": sys.argv[2]}]))
"""
RECIPES = tuple(replace(RECIPE, name=name) for name in ("a", "b", "c", "d"))


@pytest.fixture
def several(tmp_path: Path) -> Road:
    """A road in a checkout whose verbs only say that they began."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "__init__.py").touch()
    (tmp_path / "build" / "__main__.py").write_text(VERB)
    (tmp_path / "dockerfiles").symlink_to(TEMPLATES)
    road = Road(settings=settings(tmp_path), reporter=NeverWaiting())
    road.__dict__["resolver"] = Answering(PIN)
    for name, seconds in (("a", 10.0), ("b", 300.0), ("c", 20.0)):
        took = BuildTimes(at="", tag="", digest="", seconds={"total": seconds}, compile_cache={})
        store.write_lines(tmp_path / "out" / name / TIMES, (took,))
    return road


def begun(road: Road) -> list[str]:
    assert isinstance(road.reporter, RecordingReporter)
    return [line.removesuffix(" | begun") for line in road.reporter.all("output")]


@pytest.mark.processes
def test_the_longest_begins_first_and_what_nobody_knows_before_it(several: Road) -> None:
    made = several.side_by_side(RECIPES, "", at_once=1)
    assert begun(several) == ["d", "b", "c", "a"]
    assert [image["recipe"] for image in made] == ["a", "b", "c", "d"], (
        "the order in which they were asked for"
    )


@pytest.mark.processes
def test_one_that_another_run_works_on_holds_up_no_other(several: Road) -> None:
    lock = several.settings.out / "b" / ".lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        several.side_by_side(RECIPES, "", at_once=1)
    assert begun(several) == ["d", "c", "a", "b"]
    assert several.__dict__["resolver"].asked == ["a", "c", "d"], "its own process plans it"
    assert isinstance(several.reporter, RecordingReporter)
    assert "b: another run works on it, so it comes last" in several.reporter.all("note")


@pytest.mark.processes
def test_a_folder_that_cannot_be_made_is_the_failure_of_one(several: Road) -> None:
    (several.settings.out / "d").write_text("somebody's file")
    with pytest.raises(SeveralFailed) as failed:
        several.side_by_side(RECIPES, "", at_once=1)
    assert failed.value.message == f"d: {several.settings.out / 'd'}: File exists"
    assert failed.value.recap == "1 of 4 failed: d"
    assert begun(several) == ["b", "c", "a"]
