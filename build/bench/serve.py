"""The server under measurement: one process, asked from beside it, its own clock read. What is asked is decided elsewhere.

The container is as strict as a smoke check's: no network (whoever asks sits in its network namespace), a read-only root,
the model mounted read-only; only its life has no limit, each question to it has. Requests go through a file, since a long prompt fits no command line.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.bench.prompt import Prompt, text
from build.bench.series import Timing
from build.doors import store
from build.doors.effects import Mount, RunResult
from build.errors import WorkFailed
from build.smoke.running import limits
from build.smoke.running.image import RunningImage
from build.smoke.running.server import gave_up
from build.smoke.running.session import Session
from build.smoke.running.words import tail

__all__ = ["Served", "served", "timing_of"]

_ASK = "/ingot/ask"
_LOAD_S = 900
_ANSWER_S = 1800
_NOT_FOUND = "error: 404"
_SAMPLE = 400
"""Characters from which the tokens of a text are estimated, where the server has no /tokenize."""
_CHARACTERS = (6, 12, 48)
"""Of a token, tried one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that is up."""

    session: Session
    asks: Path
    """Folder of the requests, which the asking container sees."""

    def context(self) -> int:
        """Return how many tokens a request and its answer may have together; 0 where the server does not say."""
        settings = self._json("/props").get("default_generation_settings")
        size = settings.get("n_ctx") if isinstance(settings, dict) else None
        return size if isinstance(size, int) else 0

    def prompt(self, tokens: int) -> Prompt:
        """Make a prompt of so many tokens, exactly with /tokenize, else about so many."""
        found: tuple[int, ...] | None = ()
        for characters in _CHARACTERS:
            if found is not None and len(found) < tokens:
                found = self._tokenized(text(tokens * characters))
        if found is not None:
            if len(found) < tokens:
                message = f"/tokenize makes {len(found)} tokens of {tokens * _CHARACTERS[-1]} characters"
                raise WorkFailed(message)
            return found[:tokens]
        sample = self.complete(text(_SAMPLE), predict=1)
        return text(max(1, round(tokens * _SAMPLE / max(1, sample.prompt))))

    def complete(self, prompt: Prompt, *, predict: int) -> Timing:
        """Let the server answer once. Nothing of an earlier prompt is reused, and no early end cuts the answer short."""
        request = {
            "prompt": list(prompt) if isinstance(prompt, tuple) else prompt,
            "n_predict": predict,
            "temperature": 0,
            "seed": 1,
            "cache_prompt": False,
            "ignore_eos": True,
            "response_fields": ["timings"],
        }
        timing = timing_of(self._json("/completion", request))
        if timing.predicted < predict:
            message = f"the server generated {timing.predicted} of {predict} tokens: speeds would not compare"
            raise WorkFailed(message)
        return timing

    def _tokenized(self, words: str) -> tuple[int, ...] | None:
        path = "/tokenize"
        result = self._ask(path, {"content": words})
        if result.exit_code != 0:
            if _NOT_FOUND in result.stderr:
                return None
            raise self._refused(path, result)
        tokens = _document(path, result.stdout).get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            message = f"/tokenize answers with no list of tokens: {result.stdout[:200]}"
            raise WorkFailed(message)
        return tuple(tokens)

    def _json(self, path: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        result = self._ask(path, request)
        if result.exit_code != 0:
            raise self._refused(path, result)
        return _document(path, result.stdout)

    def _ask(self, path: str, request: dict[str, Any] | None = None) -> RunResult:
        options = ["--fail-with-body"]
        if request is not None:
            store.write_text(self.asks / "request.json", json.dumps(request))
            options += ["--header", "Content-Type: application/json", "--data", f"@{_ASK}/request.json"]
        # The tokens of a long prompt are a long answer.
        script = self.session.command(path, *options, max_s=_ANSWER_S, max_bytes=limits.LOG_BYTES)
        mounts = (Mount(source=self.asks, target=_ASK),)
        return self._answered(path, lambda: self.session.beside(script, _ANSWER_S, mounts=mounts))

    def _answered(self, path: str, ask: Callable[[], RunResult]) -> RunResult:
        try:
            return ask()
        except WorkFailed as error:
            # Most of the time the server ended: there is no network namespace to join any more.
            logs = tail(self.session.container.logs())
            message = f"the server cannot be asked for {path}: {error.message}; its last lines:\n{logs}"
            raise WorkFailed(message) from error

    def _refused(self, path: str, result: RunResult) -> WorkFailed:
        said = tail(result.stdout + result.stderr, 3)[:600]
        return WorkFailed(
            f"{path} failed: {said}; the server's last lines:\n{tail(self.session.container.logs())}"
        )

    def await_health(self) -> None:
        """Wait until the server has loaded its model.

        Raises:
            WorkFailed: it did not come up, or it came up on the CPU where a GPU was meant.
        """
        path = self.session.image.expect.health
        result = self._answered(path, lambda: self.session.await_health(_LOAD_S))
        if result.exit_code != 0:
            raise self._refused(path, result)
        said = gave_up(self.session.container.logs())
        if self.session.image.gpu and said:
            message = f"the server would be measured on the CPU: {said}"
            raise WorkFailed(
                message, hint="without --gpu and without a GPU in sight that is what is measured"
            )


@contextmanager
def served(image: RunningImage, arguments: tuple[str, ...], asks: Path) -> Iterator[Served]:
    """Run the server with these arguments for the block, however long that is; it is removed whatever happens."""
    with image.engine.started(image.spec(*arguments, timeout_s=math.inf)) as container:
        server = Served(session=Session(image=image, container=container), asks=asks)
        server.await_health()
        yield server


def _document(path: str, body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        message = f"{path} answers with no JSON object: {tail(body, 3)[:300]}"
        raise WorkFailed(message)
    return document


def timing_of(answer: dict[str, Any]) -> Timing:
    """Read the server's own timings out of its answer, as llama.cpp and its forks give them. Pure.

    Raises:
        WorkFailed: they are not there.
    """
    timings = answer.get("timings")
    try:
        prompt, predicted = int(timings["prompt_n"]), int(timings["predicted_n"])  # type: ignore[index]
        return Timing(
            per_second=_speed(timings, "predicted", predicted),
            prompt_per_second=_speed(timings, "prompt", prompt),
            prompt=prompt,
            predicted=predicted,
            drafted=int(timings.get("draft_n", 0)),  # type: ignore[union-attr]
            accepted=int(timings.get("draft_n_accepted", 0)),  # type: ignore[union-attr]
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"the answer holds no timings to measure by: {json.dumps(answer)[:300]}"
        raise WorkFailed(
            message, hint="bench reads `timings` as llama.cpp's /completion gives them"
        ) from error


def _speed(timings: Any, what: str, count: int) -> float:  # noqa: ANN401  (JSON has no narrower type)
    """Return tokens a second, as said or from the milliseconds."""
    said = timings.get(f"{what}_per_second")
    milliseconds = float(timings[f"{what}_ms"]) if said is None else 0.0
    speed = count / milliseconds * 1000 if milliseconds > 0 else float(said or 0)
    if not math.isfinite(speed) or speed < 0:
        message = f"{what}_per_second is {speed}"
        raise ValueError(message)
    return round(speed, 3)
