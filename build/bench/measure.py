"""`nox -s bench`: one server process, N equal requests, a sweep over contexts, the gate on the trend. Wires the others.

(`nox -s benchmarks`, which measures the pipeline itself, is below pipeline/.)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from build.bench.record import HEADER, RANKED, Key, Record, leaderboard, rows
from build.bench.series import Series, Timing, statistics_of
from build.bench.serve import Served, served
from build.bench.trend import acceptance_lost, doubtful, falls, noise
from build.doors import store
from build.doors.effects import Reporter
from build.errors import BadRequest, WorkFailed
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.recipe.model import SmokeModel
from build.smoke import minimodel
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.loaded import Loader, open_folder
from build.smoke.running.image import RunningImage

__all__ = ["Bench", "Wanted", "passed", "tell"]

_SWEPT = (512, 4096, 16384, 65536)
_LEAST = 3
_NOISY = 0.05
_PART = re.compile(r"-[0-9]{5}(-of-[0-9]{5}\.gguf)$")
_SPARE = 4 << 30
"""Bytes that a server may take beside its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asked to have measured."""

    runs: int = 10
    warm_ups: int = 1
    prompt: int = 2000
    """Tokens of the prompt."""
    predict: int = 256
    """Tokens of each answer."""
    contexts: tuple[int, ...] | None = None
    """Prompts of the sweep; None: a usual few that fit."""
    model: Path | None = None
    """None: a generated one, which only the sample fork has."""
    beside: tuple[Path, ...] = ()
    """Further files, say a draft model, that the server sees beside the model."""
    serve: tuple[str, ...] | None = None
    """The server's command line; None: the one that the recipe promises."""
    arguments: tuple[str, ...] = ()
    """Further arguments of the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One measurement of one image."""

    plan: ImagePlan
    built: BuiltImage
    loader: Loader
    gpu: HostGpu | NoGpu
    wanted: Wanted
    reporter: Reporter
    keep: Callable[[Record], object]
    """Takes each record as soon as it is there: an interrupt loses none that was made."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def records(self) -> tuple[Record, ...]:
        """Measure. The first record is the series of `runs`, the others are the sweep's.

        Raises:
            BadRequest: no model that could be measured, or a prompt that does not fit.
            WorkFailed: the server did not come up, or did not answer.
        """
        self._refuse_nonsense()
        with self.loader.loaded() as image, store.scratch(self.loader.work) as scratch:
            whole = self._prepared(image, open_folder(scratch, "model"))
            assert whole.model is not None
            arguments = (*whole.arguments(self._served_words()), *whole.arguments(self.wanted.arguments))
            with self.reporter.step(f"hash of {whole.model.name}"):
                model = store.sha256_file(whole.model)
            return self._measured(whole, arguments, open_folder(scratch, "ask"), model)

    def _refuse_nonsense(self) -> None:
        if self.wanted.runs < _LEAST:
            message = f"{self.wanted.runs} runs show no trend"
            raise BadRequest(message, hint=f"at least {_LEAST}; 10 tell a slow fall from noise")
        for file in (self.wanted.model, *self.wanted.beside):
            if file is not None and not file.is_file():
                message = f"{file} is no file"
                raise BadRequest(message, hint="--model takes the path of a model file on this host")
        if self.wanted.model is None and self.loader.expect.model is not SmokeModel.MINI:
            message = f"{self.plan.name}: its test model is too small to be measured"
            raise BadRequest(message, hint="--model FILE names a real one")

    def _served_words(self) -> tuple[str, ...]:
        """The promised command line, which is what users run; the port that the image promises comes last and wins."""
        serve = self.loader.expect.serve if self.wanted.serve is None else self.wanted.serve
        return (*serve, "--port", "{port}")

    def _prepared(self, image: RunningImage, folder: Path) -> RunningImage:
        if isinstance(self.gpu, HostGpu):
            image = replace(image, gpu=self.gpu)
            self.reporter.note(f"{self.plan.name}: measured on {self.gpu}")
        else:
            self.reporter.note(f"{self.plan.name}: measured on the CPU: {self.gpu.reason}")
        if self.wanted.model is None:
            return replace(image, model=_sample(folder))
        model = self.wanted.model.resolve()
        files = (*_parts(model), *(file.resolve() for file in self.wanted.beside))
        size = sum(file.stat().st_size for file in (model, *files))
        return replace(image, model=model, beside_model=files, memory=size + _SPARE)

    def _measured(
        self, image: RunningImage, arguments: tuple[str, ...], asks: Path, model: str
    ) -> tuple[Record, ...]:
        with served(image, arguments, asks) as server:
            contexts = self._contexts(server.context())
            main = self._series(server, self.wanted.prompt, self.wanted.runs, warm_ups=self.wanted.warm_ups)
            sigma = noise(main.speeds)
            if sigma > _NOISY:
                self.reporter.warning(
                    f"the noise of single runs is {sigma:.0%}: this machine does other work too"
                )
            records = [self._record(image, arguments, model, self.wanted.prompt, main, falls(main))]
            self.keep(records[0])
            for context in contexts:
                series = self._series(server, context, _LEAST, sigma=sigma)
                reasons = falls(series, sigma=sigma)
                if lost := acceptance_lost(main.runs, series.runs):
                    reasons = (*reasons, f"draft acceptance: {lost} at {context} tokens")
                records.append(self._record(image, arguments, model, context, series, reasons))
                self.keep(records[-1])
        return tuple(records)

    def _contexts(self, room: int) -> tuple[int, ...]:
        """Choose the prompts of the sweep, in growing order. Raises BadRequest where one does not fit."""
        asked = self.wanted.contexts
        for size in (self.wanted.prompt, *(asked or ())):
            if room and size + self.wanted.predict > room:
                message = (
                    f"a prompt of {size} tokens and {self.wanted.predict} of an answer do not fit into {room}"
                )
                raise BadRequest(
                    message, hint="--prompt, --predict, or --arguments '-c 8192' for a larger context"
                )
        if asked is not None:
            return tuple(sorted(set(asked)))
        if not room:
            self.reporter.warning(
                "/props does not say how large the context is: no sweep; --context 512,4096 asks for one"
            )
        return tuple(size for size in _SWEPT if size + self.wanted.predict <= room)

    def _series(
        self, server: Served, tokens: int, runs: int, *, warm_ups: int = 0, sigma: float = 0.0
    ) -> Series:
        with self.reporter.step(f"{runs} runs, prompt of {tokens} tokens") as step:
            prompt = server.prompt(tokens)

            def ask(which: str) -> Timing:
                timing = server.complete(prompt, predict=self.wanted.predict)
                step.update(f"{which} {timing.per_second:.1f} tokens/s")
                return timing

            series = Series(
                warm_ups=tuple(ask(f"warm-up {number}") for number in range(1, warm_ups + 1)),
                runs=tuple(ask(f"[{number}/{runs}]") for number in range(1, runs + 1)),
            )
            if doubtful(series, sigma=sigma):
                again = tuple(ask(f"falls, again [{number}/{runs}]") for number in range(1, runs + 1))
                series = replace(series, runs=(*series.runs, *again))
            step.verdict(f"{statistics_of(series).mean:.1f} tokens/s")
        return series

    def _record(
        self,
        image: RunningImage,
        arguments: tuple[str, ...],
        model: str,
        context: int,
        series: Series,
        reasons: tuple[str, ...],
    ) -> Record:
        gpu = self.gpu.gpu if isinstance(self.gpu, HostGpu) else None
        return Record(
            at=self.clock().isoformat(timespec="seconds"),
            recipe=self.plan.recipe.name,
            variant=self.plan.variant,
            tag=self.plan.tag,
            key=Key(
                digest=self.built.digest,
                gpu=gpu.name if gpu else "cpu",
                driver=gpu.driver if gpu else "",
                context=context,
                model=model,
            ),
            model_file=image.model.name if image.model else "",
            arguments=arguments,
            predict=self.wanted.predict,
            series=series,
            statistics=statistics_of(series),
            falls=reasons,
        )


def passed(name: str, records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Let records pass the gate.

    Raises:
        WorkFailed: a series falls.
    """
    reasons = [
        f"{' '.join(f'{speed:.1f}' for speed in record.series.speeds)} tokens/s at {record.key.context} tokens: "
        + "; ".join(record.falls)
        for record in records
        if record.falls
    ]
    if reasons:
        message = "; ".join(reasons)
        sigma = max(noise(record.series.speeds) for record in records)
        busy = f"single runs vary by {sigma:.0%}: measure again while this machine does nothing else; "
        raise WorkFailed(
            message, hint=f"{busy if sigma > _NOISY else ''}out/{name}/bench.jsonl has every run"
        )
    return records


def tell(records: tuple[Record, ...], known: tuple[Record, ...], reporter: Reporter) -> None:
    """Show the figures, and how the image stands beside others that were measured under the same conditions."""
    first = records[0]
    reporter.summary(f"bench {first.name} on {first.key.gpu}, {first.model_file}", HEADER, rows(records))
    ranked = leaderboard(known, first)
    if len(ranked) > 1:
        title = f"leaderboard: {first.model_file} on {first.key.gpu}, prompt of {first.key.context} tokens"
        reporter.summary(title, RANKED, ranked)


def _sample(folder: Path) -> Path:
    """Write a model of the sample fork on which a run takes long enough to be timed."""
    model = folder / "bench.mini"
    model.write_bytes(_sample_bytes())
    model.chmod(0o644)
    return model


@cache
def _sample_bytes() -> bytes:
    return minimodel.generate(vocab=2048, dim=128).to_bytes()


def _parts(model: Path) -> tuple[Path, ...]:
    """Find the other parts of a model that is split over several files."""
    if not _PART.search(model.name):
        return ()
    pattern = _PART.sub(r"-[0-9][0-9][0-9][0-9][0-9]\1", model.name)
    return tuple(path for path in sorted(model.parent.glob(pattern)) if path != model)
