"""The door to `docker buildx`: what builders can do, and bake with its progress as events. Must not interpret a plan."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from build.doors import process
from build.doors.builders import BuilderInfo, parse_builder, parse_version
from build.doors.effects import EngineHandle, Reporter, Step
from build.doors.progress import BuildEvent, ProgressReader
from build.errors import CommandFailed, Unavailable, Unreachable, WorkFailed

__all__ = [
    "CACHE_EXPORT",
    "CACHE_IMPORT",
    "EXPORTS",
    "BuildFailed",
    "Buildx",
    "narrated",
]

CACHE_IMPORT = "importing cache manifest"
CACHE_EXPORT = "exporting cache"
"""How BuildKit names its work on a layer cache, whose errors end no build."""
EXPORTS = ((CACHE_EXPORT, "layer cache"), ("exporting", "export"))
"""What is made outside any stage, by how BuildKit begins to name it."""
_TAIL = 40
_NO_ENGINE = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|failed to dial|connect: connection refused|no builder .* found"
)
_ERROR = re.compile(r"\b(?:fatal )?error:|\bCMake Error|^error\b|\bundefined reference\b", re.IGNORECASE)
"""How compilers, linkers, CMake and our own scripts begin to say what is wrong."""
_FINDING = "error: "
_MENDS = {
    "no space left on device": "free disk space, e.g. `docker builder prune`; ",
    # Seen on BuildKit 0.13 after a bake was killed while a layout was being loaded.
    "unsupported offset": "the engine holds on to an upload that was cut short: `nox -s engine -- stop`, or restart Docker; ",
    "docker --context=": "a docker context is no builder: `docker buildx create --name NAME CONTEXT` makes one of it; ",
}
"""What a failing build says of its engine, and what mends that."""


class BuildFailed(WorkFailed):
    """BuildKit ended with an error."""

    def __init__(self, *, stage: str, step: str, tail: tuple[str, ...], log: Path) -> None:
        where = f"the build failed in stage {stage}" if stage else "the build failed"
        hint = next((mend for said, mend in _MENDS.items() if any(said in line for line in tail)), "")
        errors = [line for line in tail if _ERROR.search(line)]
        # A script's own finding says more than the tool's error that it stands below.
        finding = next((line for line in errors if line.startswith(_FINDING)), (errors or [""])[0])
        said = (finding if stage else step).strip()
        super().__init__(
            "\n".join((f"{where}: {said.removeprefix(_FINDING) or step}", *tail)),
            hint=f"{hint}the whole log is {log}",
        )
        self.reason = f"{where}: {said or [*tail[-1:], step][0].strip()}"
        self.stage = stage
        self.tail = tail
        self.log = log


class Buildx:
    """`docker buildx` on one engine."""

    def __init__(self, handle: EngineHandle) -> None:
        self._environment = {
            **dict(handle.environment),
            # The file and the paths it names are our own; newer buildx would ask at the terminal.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        }
        self._builder = handle.builder

    def version(self) -> str:
        """Say buildx's version.

        Raises:
            Unavailable: docker has no buildx.
        """
        hint = "apt-get install docker-buildx-plugin (Docker's archive) or docker-buildx (Debian, Ubuntu)"
        try:
            return parse_version(self._run("version"))
        except CommandFailed as error:
            message = "the docker command has no buildx"
            raise Unavailable(message, hint=hint) from error

    def inspect(self, *, boot: bool = False) -> BuilderInfo:
        """Look at the selected builder; `boot` starts what is down of it, which before says nothing of its platforms.

        Raises:
            Unreachable: it does not answer, or does not start.
        """
        words = ("--bootstrap",) if boot else ()
        if self._builder:
            words = (*words, self._builder)
        try:
            info = parse_builder(self._run("inspect", *words))
        except CommandFailed as error:
            raise _unreachable(self._builder, error.output.strip()) from error
        return replace(info, endpoint=self._address(info))

    def _address(self, builder: BuilderInfo) -> str:
        """Look up the context that a docker-container builder was made of; a name that docker does not know stays one."""
        if builder.driver != "docker-container" or "://" in builder.endpoint:
            return builder.endpoint
        argv = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}", builder.endpoint)
        done = process.run(argv, env=self._environment, check=False, timeout_s=30)
        return done.stdout.strip() or builder.endpoint

    def bake(  # noqa: PLR0913  (what a build is)
        self,
        file: Path,
        targets: tuple[str, ...],
        *,
        cwd: Path,
        log: Path,
        on_event: Callable[[BuildEvent], None],
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """Build targets of a bake file; paths in it are relative to `cwd`.

        `env` is laid over the engine's, e.g. SOURCE_DATE_EPOCH; `options` are `docker buildx bake`'s, e.g. `--no-cache`.

        Raises:
            BuildFailed: with the failing stage, its last lines and the log's path.
            Unreachable: the engine does not answer.
        """
        chosen = ("--builder", self._builder) if self._builder else ()
        argv = (
            "docker",
            "buildx",
            "bake",
            *chosen,
            "--file",
            str(file),
            "--progress",
            "plain",
            *options,
            *targets,
        )
        reader, ending = ProgressReader(), _Ending()
        log.parent.mkdir(parents=True, exist_ok=True)
        # Line by line: whoever reads along, or looks after a kill, finds all that was said.
        with log.open("w", buffering=1, encoding="utf-8", newline="\n") as sink:

            def take(line: str) -> None:
                sink.write(line + "\n")
                event = reader.read(line)
                ending.note(line, event)
                if event:
                    on_event(event)

            environment = {**self._environment, **(env or {})}
            status = process.stream(argv, on_line=take, cwd=cwd, env=environment)
        if status != 0:
            raise ending.error(log, self._builder)

    def _run(self, *args: str) -> str:
        try:
            return process.run(("docker", "buildx", *args), env=self._environment, timeout_s=60).stdout
        except CommandFailed:
            raise
        except WorkFailed as error:
            raise _unreachable(self._builder, error.message) from error


class _Ending:
    """Remembers what a failure message needs: the last lines of every step, and which step failed."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_TAIL)
        self._steps: dict[int, deque[str]] = {}
        self._failed: BuildEvent | None = None

    def note(self, line: str, event: BuildEvent | None) -> None:
        if event and event.name.startswith((CACHE_IMPORT, CACHE_EXPORT)):
            return
        self._last.append(line)
        if event is None:
            return
        if event.kind == "output":
            self._steps.setdefault(event.vertex, deque(maxlen=_TAIL)).append(event.text)
        elif event.kind in {"done", "cached"}:
            self._steps.pop(event.vertex, None)
        elif event.kind == "error" and not (self._failed or "context canceled" in event.text):
            self._failed = event

    def error(self, log: Path, builder: str) -> WorkFailed | Unavailable:
        event, lines = self._failed, tuple(line for line in self._last if line.strip())
        if event is None:
            if any(_NO_ENGINE.search(line) for line in lines):
                return _unreachable(builder, lines[-1])
            said = next(
                (line for line in reversed(lines) if line.startswith("ERROR: ")),
                "ERROR: buildx gave no reason",
            )
            return BuildFailed(stage="", step=said.removeprefix("ERROR: "), tail=lines, log=log)
        tail = tuple(self._steps.get(event.vertex, ())) or (event.text,)
        number = f"step {event.step}/{event.steps}, " if event.steps else ""
        return BuildFailed(stage=event.stage, step=number + event.name, tail=tail, log=log)


def _unreachable(builder: str, said: str) -> Unreachable:
    message = f"the builder{f' {builder}' if builder else ''} does not answer: {said}"
    return Unreachable(message, hint="`nox -s doctor` says which engine is used and what it lacks")


@contextmanager
def narrated(reporter: Reporter) -> Iterator[Callable[[BuildEvent], None]]:
    """Tell a build's events to people: one step for each stage, one for each transfer and for the export."""
    with ExitStack() as stack:
        yield _Narrator(reporter, stack).take


class _Narrator:
    def __init__(self, reporter: Reporter, stack: ExitStack) -> None:
        self._reporter = reporter
        self._stack = stack
        self._open: dict[str, tuple[Step, ExitStack]] = {}
        self._ran: set[str] = set()
        self._nearly: set[str] = set()
        """Stages of which all steps but one are done. That one never comes where the stage begins with a named context:
        BuildKit counts such a FROM among the steps and does not announce it."""

    def take(self, event: BuildEvent) -> None:
        if not event.stage or event.name.startswith("FROM "):
            self._own_work(event)
            return
        last = event.step == event.steps
        if event.kind == "started":
            # A step that prints nothing until its end is under way all the same.
            self._begin(event.stage)
        if event.kind in {"output", "error", "done"}:
            self._at_work(event.stage, event.counter)
        if event.kind == "error":
            self._close(event.stage, "failed")
        elif event.kind == "done" and last:
            self._close(event.stage, "")
        elif event.kind == "done" and event.step == event.steps - 1:
            self._nearly.add(event.stage)
        elif event.kind == "cached" and last:
            self._step(event.stage)
            self._close(event.stage, "" if event.stage in self._ran else "cached")

    def _own_work(self, event: BuildEvent) -> None:
        """Contexts, pulls, export: said only when bytes are moved."""
        title = next((title for start, title in EXPORTS if event.name.startswith(start)), event.name)
        if event.name.startswith("exporting") and event.kind == "started":
            self._begin(title)
        elif event.kind in {"done", "cached", "error", "canceled"}:
            self._close(title, "failed" if event.kind == "error" else "")
        elif event.kind == "transfer" and re.search(r"\d[MG]B", event.text):
            self._step(title)

    def _begin(self, title: str) -> None:
        self._nearly.discard(title)
        for stage in sorted(self._nearly):
            self._close(stage, "")
        self._nearly.clear()
        self._step(title)

    def _at_work(self, stage: str, counter: tuple[int, int] | None) -> None:
        self._ran.add(stage)
        step = self._step(stage)
        if counter:
            step.update(f"[{counter[0]}/{counter[1]}]")

    def _step(self, title: str) -> Step:
        if title not in self._open:
            inner = ExitStack()
            step = inner.enter_context(self._reporter.step(title, parallel=True))
            self._stack.push(inner)
            self._open[title] = (step, inner)
        return self._open[title][0]

    def _close(self, title: str, verdict: str) -> None:
        with suppress(KeyError):
            step, inner = self._open.pop(title)
            if verdict:
                step.verdict(verdict)
            inner.close()
