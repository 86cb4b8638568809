"""A measurement as a whole, against an engine in memory: what is asked, what is kept, what is left behind."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from build.bench.measure import Bench, Wanted, passed, tell
from build.bench.record import Record
from build.doors.effects import ContainerSpec, GpuAccess, RunResult
from build.doors.store import sha256_file
from build.errors import BadRequest, IngotError, Unreachable, WorkFailed
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.plan import make_plan
from build.recipe.model import Family, SmokeModel
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.loaded import Loader
from build.smoke.running import limits
from tests.fakes import FakeContainer, FakeEngine, RecordingReporter, Server
from tests.layouts import write_layout
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES
from tests.unit.smoke.running.images import EXPECT, FLAGS, NONE, RTX

GONE = "starting a container: cannot join network of a non running container: c1"
SHORT = Wanted(runs=3, contexts=())


def answer(speed: float, *, drafted: int = 0, accepted: int = 0, predicted: int = 256) -> dict[str, Any]:
    drafts = {"draft_n": drafted, "draft_n_accepted": accepted} if drafted else {}
    return {
        "timings": {
            "prompt_n": 2000, "prompt_ms": 1000.0, "prompt_per_second": 2000.0, "predicted_n": predicted,
            "predicted_ms": 1.0, "predicted_per_second": speed, **drafts,
        }
    }  # fmt: skip


def server(*speeds: float, **changes: Any) -> Server:
    flags = FLAGS | {"--spec-draft-model": None, "-c": None}
    props = '{"default_generation_settings":{"n_ctx":4096},"total_slots":1}'
    made = Server(
        takes=flags, pages={"/props": props}, tokenizer=True, answers=[answer(one) for one in speeds]
    )
    return replace(made, **changes)


@dataclass
class Made:
    """A bench, its engine, and what it kept."""

    bench: Bench
    engine: FakeEngine
    reporter: RecordingReporter
    kept: list[Record] = field(default_factory=list)

    def refused(self, kind: type[IngotError]) -> tuple[str, str]:
        with pytest.raises(kind) as caught:
            self.bench.records()
        self.nothing_left()
        return caught.value.message, caught.value.hint

    def nothing_left(self) -> None:
        assert self.engine.containers == {}
        assert self.engine.images == {}
        assert not [
            path for path in self.bench.loader.work.rglob("*") if path.is_dir() and path.name != "scratch"
        ]


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(engine: FakeEngine | Server, wanted: Wanted = SHORT, gpu: HostGpu | NoGpu = NONE) -> Made:
        engine = engine if isinstance(engine, FakeEngine) else FakeEngine(engine)
        plan = make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES)
        layout = open_layout(write_layout(tmp_path / "image", [{"app/x": b"x"}]))
        built = BuiltImage(
            recipe="mini", variant="", fingerprint=plan.fingerprint, digest=layout.digest,
            config_digest=layout.config_digest, platform=layout.platform, size=1, layers=layout.layers, seconds={},
            compile_cache={}, engine={},
        )  # fmt: skip
        stub = tmp_path / "libcuda.so.1"
        stub.write_bytes(b"stub")
        reporter = RecordingReporter()
        kept: list[Record] = []
        loader = Loader(
            engine=engine, layout=tmp_path / "image", name="mini:tag", driver_stub=stub,
            expect=replace(EXPECT, model=SmokeModel.MINI), work=tmp_path / "work",
            clock=engine.clock,
        )  # fmt: skip
        bench = Bench(
            plan=plan, built=built, loader=loader, gpu=gpu, wanted=wanted, reporter=reporter, keep=kept.append,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        return Made(bench, engine, reporter, kept)

    return made


def test_a_steady_server_is_measured_and_passes(make: Make) -> None:
    speeds = [55.0 + number / 10 for number in range(10)]
    made = make(server(30, *speeds, *([50.0] * 3)), Wanted(runs=10, contexts=(512,)))
    main, swept = made.bench.records()
    assert passed("mini", (main, swept)) == (main, swept) == tuple(made.kept)
    assert main.series.speeds == tuple(speeds)
    assert [one.per_second for one in main.series.warm_ups] == [30]
    assert (main.statistics.mean, main.statistics.low, main.statistics.high) == (55.45, 55, 55.9)
    assert (main.key.digest, main.key.gpu, main.key.driver, main.key.context) == (
        made.bench.built.digest, "cpu", "", 2000,
    )  # fmt: skip
    assert re.fullmatch("[0-9a-f]{64}", main.key.model)
    assert main.at == "2026-01-01T00:00:00+00:00"
    assert swept.key.context == 512
    assert "mini: measured on the CPU: no NVIDIA GPU on this host" in made.reporter.all("note")
    made.nothing_left()


def test_requests_are_equal_and_reuse_nothing(make: Make) -> None:
    made = make(server(55, 55, 55, 55))
    made.bench.records()
    asked = [body for path, body in made.engine.server.posted if path == "/completion"]
    assert len(asked) == 4
    assert all(body == asked[0] for body in asked)
    assert asked[0]["prompt"] == list(range(2000)), "exactly as many as were asked for"
    assert (asked[0]["cache_prompt"], asked[0]["ignore_eos"], asked[0]["n_predict"]) == (False, True, 256)


def test_containers_are_as_strict_as_those_of_smoke(make: Make) -> None:
    made = make(server(55, 55, 55, 55))
    made.bench.records()
    one, *probes = made.engine.specs
    assert one.network == "none"
    assert {probe.network for probe in probes} == {"container:c1"}
    assert {spec.labels[0][0] for spec in made.engine.specs} == {"ingot.smoke"}
    assert [mount.target for mount in one.mounts] == ["/ingot/driver", "/ingot/model/bench.mini"]
    assert one.args == (*one.args[:-2], "--port", "8080")
    assert {spec.gpus for spec in made.engine.specs} == {GpuAccess.NONE}
    assert one.timeout_s == math.inf, "a long bench is not killed"
    assert all(probe.timeout_s <= 1830 for probe in probes)


def test_a_bench_may_take_longer_than_any_smoke_test(make: Make) -> None:
    made = make(FakeEngine(server(*([55.0] * 11)), each_s=600), Wanted(runs=10, contexts=()))
    (record,) = made.bench.records()
    assert len(record.series.runs) == 10
    assert made.engine.now > 2 * limits.LIMITS[Family.LLAMA_CPP].whole_s


def test_one_server_process_answers_everything(make: Make) -> None:
    made = make(server(*([55.0] * 7)), Wanted(runs=3, contexts=(1024,)))
    made.bench.records()
    assert len([spec for spec in made.engine.specs if spec.network == "none"]) == 1


def test_the_third_run_that_falls_fails_the_gate(make: Make) -> None:
    answers = [answer(55, drafted=300, accepted=142)] * 3 + [answer(11, drafted=300)]
    made = make(server(answers=answers))
    records = made.bench.records()
    with pytest.raises(WorkFailed) as caught:
        passed("mini", records)
    assert caught.value.message == (
        "55.0 55.0 11.0 tokens/s at 2000 tokens: fell to 20% at run 3: 55.0 before, 11.0 from there on; "
        "draft acceptance fell at run 3: 47% before, 0% from there on"
    )
    assert caught.value.hint == "out/mini/bench.jsonl has every run"
    assert caught.value.exit_code == 1
    assert made.kept == list(records), "kept all the same"


def test_a_fall_of_the_level_alone_is_looked_at_twice(make: Make) -> None:
    stays = make(server(55, 55, 55, 11, 11, 11, 11))
    (record,) = stays.bench.records()
    assert record.series.speeds == (55, 55, 11, 11, 11, 11)
    assert record.falls == ("fell to 20% at run 3: 55.0 before, 11.0 from there on",)
    recovers = make(server(55, 55, 55, 11, 55, 54, 55))
    (record,) = recovers.bench.records()
    assert record.series.speeds == (55, 55, 11, 55, 54, 55)
    assert record.falls == ()


def test_a_fall_that_the_drafts_confirm_needs_no_second_look(make: Make) -> None:
    answers = [answer(55, drafted=300, accepted=142)] * 3 + [answer(11, drafted=300)]
    (record,) = make(server(answers=answers)).bench.records()
    assert len(record.series.runs) == 3


def test_drafts_that_fail_at_a_longer_prompt_fail_the_gate(make: Make) -> None:
    good, bad = answer(55, drafted=300, accepted=142), answer(50, drafted=300)
    made = make(server(answers=[good] * 4 + [bad] * 3), Wanted(runs=3, contexts=(3000,)))
    main, swept = made.bench.records()
    assert main.falls == ()
    assert swept.falls == ("draft acceptance: 47% before, 0% at 3000 tokens",)


def test_a_server_without_a_tokenizer_gets_a_text_of_about_the_length(make: Make) -> None:
    sample = answer(55, predicted=1)
    sample["timings"]["prompt_n"] = 100
    made = make(server(answers=[sample, *[answer(55)] * 4], tokenizer=False))
    made.bench.records()
    asked = [body for path, body in made.engine.server.posted if path == "/completion"]
    assert len(asked[0]["prompt"]) == 400
    assert len(asked[1]["prompt"]) == 2000 * 4


@pytest.mark.parametrize("props", ["{}", '{"default_generation_settings":{}}'])
def test_a_server_that_does_not_say_its_context_is_swept_only_where_asked(make: Make, props: str) -> None:
    unknown = server(*([55.0] * 7), pages={"/props": props})
    made = make(unknown, Wanted(runs=3))
    assert [record.key.context for record in made.bench.records()] == [2000]
    assert made.reporter.all("warning") == [
        "/props does not say how large the context is: no sweep; --context 512,4096 asks for one"
    ]
    asked = make(replace(unknown, answers=[answer(55.0)] * 7), Wanted(runs=3, contexts=(512,)))
    assert [record.key.context for record in asked.bench.records()] == [2000, 512]
    assert asked.reporter.all("warning") == []


def test_the_usual_sweep_is_what_fits(make: Make) -> None:
    made = make(server(*([55.0] * 7)), Wanted(runs=3))
    assert [record.key.context for record in made.bench.records()] == [2000, 512]


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (Wanted(runs=2), "2 runs show no trend", "at least 3; 10 tell a slow fall from noise"),
        (
            Wanted(prompt=4000),
            "a prompt of 4000 tokens and 256 of an answer do not fit into 4096",
            "--prompt, --predict, or --arguments '-c 8192' for a larger context",
        ),
        (
            Wanted(contexts=(512, 8192)),
            "a prompt of 8192 tokens and 256 of an answer do not fit into 4096",
            "--prompt, --predict, or --arguments '-c 8192' for a larger context",
        ),
        (
            Wanted(model=Path("/nonexistent/m.gguf")),
            "/nonexistent/m.gguf is no file",
            "--model takes the path of a model file on this host",
        ),
    ],
)
def test_what_cannot_be_measured(make: Make, wanted: Wanted, message: str, hint: str) -> None:
    made = make(server(*([55.0] * 20)))
    made.bench.loader.work.mkdir()
    bench = replace(made.bench, wanted=wanted)
    assert replace_bench(made, bench).refused(BadRequest) == (message, hint)


def replace_bench(made: Made, bench: Bench) -> Made:
    return Made(bench, made.engine, made.reporter, made.kept)


def test_two_random_layers_are_no_model_to_measure(make: Make) -> None:
    made = make(server(55))
    made.bench.loader.work.mkdir()
    loader = replace(made.bench.loader, expect=replace(EXPECT, model=SmokeModel.GGUF_LLAMA))
    found = replace_bench(made, replace(made.bench, loader=loader)).refused(BadRequest)
    assert found == ("mini: its test model is too small to be measured", "--model FILE names a real one")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"answers": [{"content": "x"}]},
            'the answer holds no timings to measure by: {"content": "x"}',
        ),
        (
            {"answers": [answer(float("nan"))]},
            "the answer holds no timings to measure by: ",
        ),
        (
            {"answers": [answer(55, predicted=3)]},
            "the server generated 3 of 256 tokens: speeds would not compare",
        ),
        (
            {"answers": [], "log": "loaded\nout of memory\n"},
            "/completion failed: curl: (52) Empty reply from server; the server's last lines:\nloaded\nout of memory",
        ),
        (
            {"healthy": False, "log": "loading\n"},
            "/health failed: curl: (22) error: 503; the server's last lines:\nloading",
        ),
        (
            {"dies": "error: failed to load model\n"},
            f"the server cannot be asked for /health: {GONE}; its last lines:\nerror: failed to load model",
        ),
    ],
)
def test_a_server_that_cannot_be_measured(make: Make, changes: dict[str, Any], message: str) -> None:
    made = make(server(**changes))
    assert made.refused(WorkFailed)[0].startswith(message)
    assert made.kept == []


def test_a_server_that_dies_in_a_run(make: Make) -> None:
    class Crashes(FakeEngine):
        def _beside(self, container: FakeContainer, other: str) -> None:
            if len(self.server.answers) == 2:
                self.containers[other].exit_code = 139
                self.containers[other].stderr = "CUDA error: an illegal memory access\n"
            super()._beside(container, other)

    made = make(Crashes(server(55, 55, 55, 55)))
    assert made.refused(WorkFailed)[0] == (
        f"the server cannot be asked for /completion: {GONE}; its last lines:\nCUDA error: an illegal memory access"
    )


def test_a_server_that_dies_while_it_loads_is_not_waited_for(make: Make) -> None:
    class DiesLoading(FakeEngine):
        def _beside(self, container: FakeContainer, other: str) -> None:
            super()._beside(container, other)
            self.containers[other].exit_code = 139
            self.containers[other].stderr = "failed to create context with model\n"

    made = make(DiesLoading(server(healthy=False)))
    assert made.refused(WorkFailed)[0] == (
        f"the server cannot be asked for /health: {GONE}; its last lines:\nfailed to create context with model"
    )
    assert len(made.engine.specs) == 3, "the server, and two who asked"


def test_a_server_that_loads_for_ever_is_given_up_by_the_clock(make: Make) -> None:
    made = make(FakeEngine(server(healthy=False, log="loading\n"), each_s=100))
    assert made.refused(WorkFailed)[0].startswith("/health failed: ")
    assert made.engine.now == 1000, "the server's start and 900 s"


class Interrupted(FakeEngine):
    """Somebody presses ctrl-C in the second run."""

    def run_once(self, spec: ContainerSpec) -> RunResult:
        if len(self.server.answers) == 2:
            raise KeyboardInterrupt
        return super().run_once(spec)


def test_an_interrupt_leaves_nothing(make: Make) -> None:
    made = make(Interrupted(server(55, 55, 55, 55)))
    with pytest.raises(KeyboardInterrupt):
        made.bench.records()
    made.nothing_left()


def test_an_engine_that_goes_away_is_no_verdict(make: Make) -> None:
    made = make(FakeEngine(server(55), lost=True))
    with pytest.raises(Unreachable):
        made.bench.records()


def test_on_a_gpu_the_record_says_which(make: Make) -> None:
    made = make(server(55, 55, 55, 55), gpu=RTX)
    (record,) = made.bench.records()
    assert (record.key.gpu, record.key.driver) == ("NVIDIA GeForce RTX 5090", "580.65")
    (one, *probes) = made.engine.specs
    assert one.gpus is GpuAccess.CDI
    assert ("CUDA_VISIBLE_DEVICES", "GPU-12") in one.env
    assert [mount.target for mount in one.mounts] == ["/ingot/model/bench.mini"], (
        "no stub before the real driver"
    )
    assert {probe.gpus for probe in probes} == {GpuAccess.NONE}
    said = "mini: measured on NVIDIA GeForce RTX 5090 (sm_120, driver 580.65), through CDI"
    assert said in made.reporter.all("note")


def test_a_server_that_falls_back_to_the_cpu_is_not_measured_as_a_gpu(make: Make) -> None:
    log = "warning: no usable GPU found, --gpu-layers option will be ignored\nlistening\n"
    made = make(server(55, log=log), gpu=RTX)
    assert made.refused(WorkFailed)[0] == (
        "the server would be measured on the CPU: warning: no usable GPU found, --gpu-layers option will be ignored"
    )
    assert make(server(55, 55, 55, 55, log=log)).bench.records(), "on the CPU it is what was announced"


def test_a_model_is_mounted_with_its_parts_and_what_is_asked_for_beside_it(
    make: Make, tmp_path: Path
) -> None:
    names = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n-00002-of-00002.gguf", "draft.gguf")
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 1000)
    wanted = Wanted(
        runs=3, contexts=(), model=tmp_path / names[0], beside=(tmp_path / "draft.gguf",),
        arguments=("--spec-draft-model", "/ingot/model/draft.gguf"),
    )  # fmt: skip
    made = make(server(55, 55, 55, 55), wanted)
    (record,) = made.bench.records()
    spec = made.engine.specs[0]
    assert [(mount.source, mount.target) for mount in spec.mounts[1:]] == [
        (tmp_path / name, f"/ingot/model/{name}") for name in (names[0], names[1], "draft.gguf")
    ]
    assert spec.memory == 3000 + (4 << 30)
    assert spec.args[-2:] == ("--spec-draft-model", "/ingot/model/draft.gguf")
    assert record.key.model == sha256_file(tmp_path / names[0])


def test_another_command_line_takes_the_recipes_place(make: Make) -> None:
    wanted = Wanted(runs=3, contexts=(), serve=("--model", "{model}"), arguments=("-c", "8192"))
    made = make(server(55, 55, 55, 55), wanted)
    (record,) = made.bench.records()
    line = ("--model", "/ingot/model/bench.mini", "--port", "8080", "-c", "8192")
    assert made.engine.specs[0].args == record.arguments == line


def test_noise_that_hides_a_trend_is_said(make: Make) -> None:
    made = make(server(55, 50, 60, 48, 62, 50, 60), Wanted(runs=6, contexts=()))
    made.bench.records()
    (warning,) = made.reporter.all("warning")
    assert re.fullmatch(r"the noise of single runs is \d\d%: this machine does other work too", warning)


def test_a_fall_on_a_busy_machine_says_so(make: Make) -> None:
    speeds = (60, 50, 62, 48, 61, 20, 24, 19, 25, 20)
    (record,) = make(
        server(60, *speeds, *speeds[5:], *speeds[5:]), Wanted(runs=10, contexts=())
    ).bench.records()
    with pytest.raises(WorkFailed) as caught:
        passed("mini", (record,))
    assert re.match(r"single runs vary by \d\d%: measure again while", caught.value.hint)


def test_the_table_is_told_and_ranks_other_images(make: Make) -> None:
    made = make(server(55, 55, 55, 55))
    records = made.bench.records()
    tell(records, records, made.reporter)
    assert len(made.reporter.all("summary")) == 1, "one image is no competition"
    other = replace(
        records[0],
        recipe="other",
        key=replace(records[0].key, digest=type(records[0].key.digest)(f"sha256:{'9' * 64}")),
    )
    tell(records, (*records, other), made.reporter)
    assert "leaderboard: bench.mini on cpu, prompt of 2000 tokens" in made.reporter.all("summary")[-1]
