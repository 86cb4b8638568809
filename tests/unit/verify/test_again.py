"""What this machine can vary, and what is said of a build that left its artifacts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.onward import Onward
from build.recipe.refs import Digest
from build.settings import from_env
from build.verify.again import built_again, conditions_here, described
from build.verify.variations import Conditions, chosen
from tests.fakes import RecordingReporter
from tests.layouts import write_layout
from tests.unit.publish.bundles import planned
from tests.unit.publish.images import make_pushable


@pytest.mark.processes
def test_a_dockerfile_of_an_earlier_version_knows_no_argument(tmp_path: Path) -> None:
    bundle = planned(tmp_path).gather(tmp_path / "bundle")
    settings = from_env({"PATH": "/usr/bin:/bin"}, tmp_path)

    def ccache() -> tuple[str, bool]:
        decided = conditions_here(settings, chosen(()), bundle, tmp_path / "work", None)
        (one,) = (one for one in decided.varied if one.name == "ccache")
        return one.why_not, decided.compile_cache

    assert ccache() == ("", False)
    plan = json.loads((bundle / "plan.json").read_text())
    plan["files"] = [[path, text.replace("ARG CCACHE_DISABLE\n", "")] for path, text in plan["files"]]
    (bundle / "plan.json").write_text(json.dumps(plan))
    assert ccache() == ("the Dockerfile takes no CCACHE_DISABLE", True)


class Impatient(RecordingReporter):
    """Does not wait."""

    def note(self, message: str) -> None:
        raise InterruptedError(message)


def test_who_waits_says_so(tmp_path: Path) -> None:
    settings, reporter = from_env({"INGOT_OUT": str(tmp_path / "out")}, tmp_path), Impatient()
    decided = Conditions(
        varied=(), env={}, cwd=tmp_path, umask=0o022, cpus=(), own_engine=False, shift_s=0, compile_cache=True
    )
    with store.locked(settings.cache / "verify" / ".lock"):
        again = built_again(tmp_path, tmp_path / "work", decided, settings, reporter)
        with pytest.raises(InterruptedError, match="waiting for another verify to end"), again:
            pass
    with store.locked(settings.out / "mini" / ".lock"):
        onward = Onward(settings=settings, reporter=reporter)
        with pytest.raises(InterruptedError, match="mini: waiting for another run that works on it"):
            onward.verify("mini", chosen(()))


def test_what_is_said_of_a_build(tmp_path: Path) -> None:
    made = make_pushable(tmp_path / "image", b"")
    found = described(tmp_path, made.verified.built)
    assert (found.digest, found.config_digest) == (
        made.verified.built.digest,
        made.verified.built.config_digest,
    )
    assert (found.jobs, found.engine) == ("", {})
    built = replace(made.verified.built, engine={"engine": "1", "build platform": "linux/arm64"})
    assert described(tmp_path, built).engine == {"engine": "1"}, "where it ran is no version"
    (tmp_path / "build.log").write_text("#1 0.1 x\n#9 0.2 compile: 3 jobs (8 cores, 6 GiB free)\n")
    assert described(tmp_path, None).jobs == "3 jobs (8 cores)"


def test_a_layout_alone_is_enough(tmp_path: Path) -> None:
    write_layout(tmp_path / "image", [{"a": b"1"}, {"b": b"2"}])
    found = described(tmp_path, None)
    assert len(found.diff_ids) == 2
    assert isinstance(found.digest, Digest)
