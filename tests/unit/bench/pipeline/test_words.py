"""What the benchmarks read, and what they refuse, before and after anything runs."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from build.bench.pipeline.compiled import Compiled, half_done
from build.bench.pipeline.ground import Ground, edit
from build.bench.pipeline.machine import Machine, machine
from build.bench.pipeline.page import Found, paged
from build.bench.pipeline.pushed import Pushed, sent
from build.bench.pipeline.ratio import Comparison, Ratio, Sample, Side
from build.bench.pipeline.run import Asked, benchmarks, measure
from build.bench.pipeline.staticchecks import StaticChecks
from build.bench.pipeline.together import count_made
from build.cli import main
from build.errors import BadRequest, Unavailable, WorkFailed
from build.host import private
from build.settings import from_env
from tests.fakes import RecordingReporter

ROOT = Path(__file__).parents[4]
MACHINE = Machine(processor="Example 9000", cores=2, memory_gib=24, system="Debian 12", load=1.5)
FOUND = Found(
    at="2026-01-31",
    before=MACHINE,
    after=replace(MACHINE, load=3.0),
    kernels=64,
    runs=3,
    ratios=(
        Ratio(
            name="noop",
            title="ours / bare",
            ours=(1.0, 2.0, 9.0),
            theirs=(4.0, 4.0, 5.0),
            value=0.5,
            limit=0.4,
            peak_mib=70,
        ),
    ),
)


def test_a_name_that_is_unknown_starts_nothing(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    settings = from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT)
    with pytest.raises(BadRequest) as error:
        benchmarks(Asked(names=("cold", "hot")), settings, reporter)
    assert error.value.message == "there is no benchmark called hot"
    assert error.value.hint == (
        "benchmarks: noop, cold, bake, warm, kernel, resumed, together, push-again, push-server, static, watch"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kernels", [0, 257])
def test_as_many_kernels_as_the_sample_can_have(tmp_path: Path, kernels: int) -> None:
    settings = from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT)
    with pytest.raises(BadRequest) as error:
        benchmarks(Asked(kernels=kernels), settings, RecordingReporter())
    assert error.value.message == f"the sample cannot have {kernels} kernel files"
    assert error.value.hint == "--kernels takes 1 to 256"


def test_the_page_takes_new_figures_in_place_of_old_ones() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    once = paged(page, replace(FOUND, at="2025-12-31"))
    again = paged(once, FOUND)
    assert "2025-12-31" not in again
    line = (
        "| noop | ours / bare | 0.500 (missed) | 0.400 | 2.00 | 4.00 | 70 MiB | 64 | 3 | 1.5 to 3 | 2026-01-31 | "
        "Example 9000, 2 cores, 24 GiB, Debian 12 |\n"
    )
    assert again.count(line) == 1
    assert paged(again, FOUND) == again


def test_the_page_keeps_what_was_not_measured_again_with_its_machine() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    (noop,) = FOUND.ratios
    first = paged(page, replace(FOUND, ratios=(noop, replace(noop, name="watch", peak_mib=0))))
    later = replace(
        FOUND,
        at="2026-02-01",
        kernels=128,
        ratios=(replace(noop, value=0.3),),
        before=replace(MACHINE, processor="Other 1"),
    )
    lines = [line for line in paged(first, later).splitlines() if line.startswith(("| noop", "| watch"))]
    cells = [line.strip("| ").split(" | ") for line in lines]
    assert [(line[0], line[7], line[10], line[11].partition(",")[0]) for line in cells] == [
        ("noop", "128", "2026-02-01", "Other 1"),
        ("watch", "64", "2026-01-31", "Example 9000"),
    ]


def test_too_few_runs_for_the_page_start_nothing(tmp_path: Path) -> None:
    settings = from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT)
    with pytest.raises(BadRequest) as error:
        benchmarks(Asked(names=("watch",), runs=2, write=True), settings, RecordingReporter())
    assert error.value.message == "2 runs have no median to show"
    assert error.value.hint == "--write takes --runs 3 at least"
    assert not list(tmp_path.iterdir())


def fine(_number: int) -> Sample:
    return Sample(seconds=1.0)


def breaks(_number: int) -> Sample:
    message = "no engine"
    raise WorkFailed(message)


def comparison(name: str, side: Side) -> Comparison:
    return Comparison(name=name, title="ours / theirs", ours=side, theirs=side, limit=2.0)


def page_in(root: Path) -> Path:
    """Give a checkout the page that figures are written into."""
    page = root / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    return page


def test_what_could_not_be_measured_keeps_the_figures_that_it_had(tmp_path: Path) -> None:
    page = page_in(tmp_path)
    table = (comparison("one", fine), comparison("two", fine))
    settings, reporter = from_env({}, tmp_path), RecordingReporter()
    measure(table, Asked(write=True, kernels=64), settings, reporter, prepared=nullcontext)
    table = (table[0], replace(table[1], ours=breaks, theirs=breaks))
    with pytest.raises(WorkFailed, match="two: not measured"):
        measure(table, Asked(write=True, kernels=1), settings, reporter, prepared=nullcontext)
    assert reporter.all("error") == ["two: no engine"]
    assert reporter.all("verdict") == ["1.000 1.000", "1.000", "not measured"]
    lines = [
        line.split(" | ") for line in page.read_text().splitlines() if line.startswith(("| one", "| two"))
    ]
    assert [(line[0], line[7]) for line in lines] == [("| one", "1"), ("| two", "64")]


def test_help_names_every_comparison(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(BadRequest) as error:
        benchmarks(Asked(names=("none",)), from_env({}, ROOT), RecordingReporter())
    known = error.value.hint.removeprefix("benchmarks: ").split(", ")
    with pytest.raises(SystemExit):
        main(["benchmarks", "--help"])
    assert " ".join(known) in " ".join(capsys.readouterr().out.split())


def test_builder_and_layer_cache_of_the_user_are_not_the_benchmarks(tmp_path: Path) -> None:
    env = {
        "INGOT_CACHE": str(tmp_path / "cache"),
        "INGOT_BUILDER": "farm",
        "INGOT_LAYER_CACHE": "registry.example.org/me",
        "INGOT_LAYER_CACHE_WRITE": "1",
    }
    ground = Ground(user=from_env(env, ROOT), reporter=RecordingReporter(), kernels=1)
    assert ground.settings.builder == ""
    child = from_env({**env, **(ground.command(tmp_path, "image").env or {})}, tmp_path)
    assert (child.layer_cache, child.layer_cache_write, child.builder) == (None, False, "")


def test_a_page_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"docs/benchmarks\.md has no lines"):
        paged("# Benchmarks\n", FOUND)


def test_the_toolchain_is_counted_by_the_steps_that_made_it() -> None:
    once = "  ✓ compilers image, Debian bookworm, bootstrapped  done  9.0 s\n✓ toolchain for CUDA 13.0  done  62 s\n"
    assert (count_made(once), count_made(once * 2), count_made("✓ pin minifork  known  0.1 s\n")) == (1, 2, 0)
    apart = "minifork-86  | ✓ toolchain for CUDA 13.0  done  62 s\nminifork-120a | ✓ toolchain for CUDA 13.0  done  61 s\n"
    assert count_made(f"{once}{apart}") == 3, "also those that a recipe's own part made"


def test_half_is_of_the_project_with_the_kernels() -> None:
    log = "#12 0.1 [1/3] Building\n#12 0.2 [3/3] Linking\n#14 3.0 [41/83] Building CUDA object\n"
    assert not half_done(log, 60)
    assert half_done(f"{log}#14 4.0 [42/83] Building CUDA object\n", 60)
    assert not half_done("", 60)


def test_a_text_that_is_not_there_once_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("a: 1\na: 1\n")
    with pytest.raises(WorkFailed, match="has 2 times 'a: 1'"):
        edit(file, "a: 1", "a: 2")
    assert file.read_text() == "a: 1\na: 1\n"


def test_this_machine_is_described() -> None:
    here = machine()
    assert here.cores >= 1
    assert here.memory_gib >= 1
    assert here.processor


def test_an_interrupt_of_a_later_group_keeps_what_the_page_has_of_an_earlier_one(tmp_path: Path) -> None:
    def interrupted(_number: int) -> Sample:
        raise KeyboardInterrupt

    page = page_in(tmp_path)
    table = (comparison("one", fine), comparison("two", interrupted))
    with pytest.raises(KeyboardInterrupt):
        measure(table, Asked(write=True), from_env({}, tmp_path), RecordingReporter(), prepared=nullcontext)
    assert "| one | ours / theirs | 1.000 |" in page.read_text()


def test_what_could_not_be_measured_is_named_in_the_answer() -> None:
    table = (comparison("two", breaks),)
    with pytest.raises(WorkFailed) as error:
        measure(table, Asked(), from_env({}, ROOT), RecordingReporter(), prepared=nullcontext)
    assert isinstance(error.value.answer, Found)
    assert (error.value.answer.unmeasured, error.value.answer.ratios) == (("two",), ())


@pytest.mark.parametrize(
    ("said", "megabytes"),
    [
        ("✓ push localhost/x:1  12.5 MB sent of 50.0 MB  1.0 s", 12.5),
        ("✓ push localhost/x:1  0.0 MB sent of 50.0 MB  1.0 s", 0.0),
        ("✓ push localhost/x:1  already there  0.1 s", 0.0),
    ],
)
def test_how_much_a_push_sent(said: str, megabytes: float) -> None:
    assert sent(said) == megabytes


def test_an_image_that_is_too_small_for_the_static_checks_ratio_is_not_measured(tmp_path: Path) -> None:
    settings = replace(from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT), out=tmp_path / "out")
    static = StaticChecks(ground=Ground(user=settings, reporter=RecordingReporter(), kernels=1))
    assert static.image == "no image, 0.0 MB"
    with pytest.raises(WorkFailed) as error:
        static.checks(0)
    assert error.value.message.startswith(
        "the largest image that is built here is no image, 0.0 MB; of a small one"
    )
    assert error.value.hint == "build one of an engine first: nox -s build-llama-cpp"


def test_a_push_that_says_neither_is_no_figure() -> None:
    with pytest.raises(WorkFailed, match="what a push sent is not in its words:\n✓ push localhost/x:1  done"):
        sent("✓ push localhost/x:1  done  0.1 s")


@pytest.mark.parametrize(
    ("side", "said", "words"),
    [
        ("again", "0.2 MB sent of 43.4 MB", "a push of what is there sent something"),
        (
            "server",
            "already there",
            "after a change of the server alone, 123000 bytes, a push sent more or nothing",
        ),
        (
            "server",
            "2.5 MB sent of 43.4 MB",
            "after a change of the server alone, 123000 bytes, a push sent more",
        ),
    ],
)
def test_a_push_that_sends_what_it_should_not_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, said: str, words: str
) -> None:
    (tmp_path / "samples" / "minifork" / "server").mkdir(parents=True)
    (tmp_path / "samples" / "minifork" / "server" / "main.cpp").write_text("int main() {}")
    image_of(tmp_path, 0, 0)
    settings = from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT)

    def pipeline(_self: Ground, _root: Path, *verb: str, registry: str = "") -> Sample:
        return Sample(seconds=1.0, said=f"✓ push localhost/x:1  {said}  1.0 s" if verb[0] == "push" else "")

    monkeypatch.setattr(Ground, "pipeline", pipeline)
    monkeypatch.setattr(Pushed, "_root", tmp_path)
    monkeypatch.setattr(Pushed, "_address", "localhost")
    pushed = Pushed(ground=Ground(user=settings, reporter=RecordingReporter(), kernels=1))
    run = {"again": pushed.again, "server": pushed.server}[side]
    with pytest.raises(WorkFailed, match=words):
        run(0)


def test_what_needs_no_engine_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_words: object) -> None:
        message = "no engine can run here"
        raise Unavailable(message)

    monkeypatch.setattr(private, "start", start)
    monkeypatch.setattr(Ground, "_clear", lambda _self: None)
    ground = Ground(
        user=from_env({"INGOT_CACHE": str(tmp_path)}, ROOT), reporter=RecordingReporter(), kernels=1
    )
    with ground.prepared(engine=False):
        pass
    with pytest.raises(Unavailable, match="no engine can run here"), ground.prepared():
        pass


def image_of(root: Path, hits: int, misses: int) -> None:
    folder = root / "out" / "minifork"
    folder.mkdir(parents=True, exist_ok=True)
    layers = [
        {"digest": "sha256:1", "what": "COPY /collect/kernels/ / # buildkit", "size": 2_300_000},
        {"digest": "sha256:2", "what": "COPY /collect/server/ / # buildkit", "size": 123_000},
    ]
    document = {"compile_cache": {"hits": hits, "misses": misses}, "layers": layers}
    (folder / "image.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("side", "hits", "misses", "words"),
    [
        ("cold", 50, 20, "a cold build found compiles in the cache: 50 hits, 20 misses"),
        ("cold", 1, 70, "a cold build found compiles in the cache: 1 hits, 70 misses"),
        ("warm", 70, 1, "a warm build found too little in the cache: 70 hits, 1 misses"),
        ("warm", 0, 0, "a warm build found too little in the cache: 0 hits, 0 misses"),
        ("kernel", 66, 6, "a build with one kernel changed compiled more: 66 hits, 6 misses"),
        (
            "kernel",
            70,
            1,
            "a build with one kernel changed has the kernels of the one before: 70 hits, 1 misses",
        ),
    ],
)
def test_a_time_that_is_not_of_what_its_line_says_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, hits: int, misses: int, words: str
) -> None:
    settings = from_env({"INGOT_CACHE": str(tmp_path / "cache")}, ROOT)
    ground = Ground(user=settings, reporter=RecordingReporter(), kernels=64)
    counts = {"cold": (0, 70), "warm": (70, 0), "kernel": (69, 2)} | {side: (hits, misses)}
    sides = iter(("cold", "warm", "kernel"))

    def pipeline(_self: Ground, root: Path, *verb: str, registry: str = "") -> Sample:
        if verb[0] == "image":
            image_of(root, *counts[next(sides)])
        return Sample(seconds=1.0)

    monkeypatch.setattr(Ground, "pipeline", pipeline)
    monkeypatch.setattr(Ground, "warmed", tmp_path)
    compiled = Compiled(ground=ground)

    def a_round() -> None:
        for one in (compiled.cold, compiled.warm, compiled.kernel):
            one(0)

    with pytest.raises(WorkFailed) as error:
        a_round()
    assert error.value.message == words
