"""BuildKit's plain progress, line by line, as events. Pure: text in, values out."""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["BuildEvent", "EventKind", "ProgressReader"]

EventKind = Literal["started", "output", "transfer", "cached", "done", "error", "canceled"]

_LINE = re.compile(r"#(?P<vertex>\d+) (?P<rest>.*)", re.DOTALL)
_LABEL = re.compile(
    r"\[(?P<label>(?:[^]]* )?(?:\d+/\d+|internal)|context [^]]+|auth|[^] ]+)\] (?P<name>.+)", re.DOTALL
)
_NUMBERED = re.compile(r"(?:(?P<stage>\S+) )?(?P<step>\d+)/(?P<steps>\d+)$")
_OUTPUT = re.compile(r"(?P<seconds>\d+\.\d+) ?(?P<text>.*)", re.DOTALL)
_COUNTER = re.compile(r"\[\s*(\d+)/(\d+)\] ")
_DONE = re.compile(r"DONE (?P<seconds>[0-9.]+)s")
_TRANSFER = re.compile(r"(?:sha256:[0-9a-f]+|transferring \S+:|extracting) ?(?P<amount>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEvent:
    """One thing that BuildKit said about one step."""

    kind: EventKind
    vertex: int
    stage: str
    """The Dockerfile's stage; empty for BuildKit's own work (contexts, export)."""
    step: int = 0
    steps: int = 0
    """The step is number `step` of `steps` in its stage; 0 for BuildKit's own work."""
    name: str = ""
    """The instruction, e.g. `RUN ninja`."""
    seconds: float = 0.0
    counter: tuple[int, int] | None = None
    """`[42/186]` at the start of an output line: the compile's own count."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vertex:
    stage: str
    step: int
    steps: int
    name: str


class ProgressReader:
    """Reads the lines of one build, in order."""

    def __init__(self) -> None:
        self._vertices: dict[int, _Vertex] = {}

    def read(self, line: str) -> BuildEvent | None:
        """Turn a line into an event; None for lines that say nothing new."""
        found = _LINE.match(line)
        if not found:
            return None
        number, rest = int(found["vertex"]), found["rest"]
        if number == 0 or rest == "...":
            return None
        vertex = _header(rest)
        if vertex or number not in self._vertices:
            again = vertex is not None and self._vertices.get(number) == vertex
            self._vertices[number] = vertex or _Vertex(stage="", step=0, steps=0, name=rest)
            return None if again else self._event("started", number)
        return self._status(number, rest)

    def _status(self, number: int, rest: str) -> BuildEvent:
        if rest in {"CACHED", "CANCELED"}:
            return self._event("cached" if rest == "CACHED" else "canceled", number)
        if rest.startswith("ERROR: "):
            return self._event("error", number, text=rest.removeprefix("ERROR: "))
        if done := _DONE.fullmatch(rest):
            return self._event("done", number, seconds=float(done["seconds"]))
        if output := _OUTPUT.match(rest):
            text = output["text"]
            count = _COUNTER.match(text)
            counter = (int(count[1]), int(count[2])) if count else None
            return self._event("output", number, seconds=float(output["seconds"]), counter=counter, text=text)
        if transfer := _TRANSFER.match(rest):
            return self._event("transfer", number, text=transfer["amount"])
        return self._event("output", number, text=rest)

    def _event(
        self,
        kind: EventKind,
        number: int,
        *,
        seconds: float = 0.0,
        counter: tuple[int, int] | None = None,
        text: str = "",
    ) -> BuildEvent:
        vertex = self._vertices[number]
        return BuildEvent(
            kind=kind, vertex=number, stage=vertex.stage, step=vertex.step, steps=vertex.steps, name=vertex.name,
            seconds=seconds, counter=counter, text=text,
        )  # fmt: skip


def _header(rest: str) -> _Vertex | None:
    """Read `[compile 3/4] RUN ...`, `[target linux/amd64 compile 3/4] RUN ...` or `[internal] load ...`."""
    found = _LABEL.fullmatch(rest)
    if not found:
        return None
    numbered = _NUMBERED.search(found["label"])
    if not numbered:
        return _Vertex(stage="", step=0, steps=0, name=found["name"])
    return _Vertex(
        stage=numbered["stage"] or "image",
        step=int(numbered["step"]),
        steps=int(numbered["steps"]),
        name=found["name"],
    )
