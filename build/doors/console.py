"""What people see, on stderr. The one importer of rich: live lines on a terminal, plain ones elsewhere, groups in CI."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TextIO

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from build.recipe.words import printable

__all__ = ["Console", "duration", "markdown_table"]

_HEARTBEAT_S = 30.0
"""Without a terminal a long step says how far it is this often."""


def duration(seconds: float) -> str:
    """Render a time as people say it: `3.1 s`, `42 s`, `12 min 5 s`, `1 h 2 min`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{whole} s"


def markdown_table(title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """Render the summary as a job page wants it."""
    lines = (header, tuple("---" for _ in header), *rows)
    cells = (tuple(cell.replace("|", "\\|").replace("\n", "<br>") for cell in line) for line in lines)
    return f"### {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in cells) + "\n"


class _OpenStep:
    """A step that is running."""

    def __init__(
        self, title: str, depth: int, started: float, heartbeat: Callable[["_OpenStep"], None]
    ) -> None:
        self.title = title
        self.depth = depth
        self.started = started
        self.spoke = started
        self.detail = ""
        self.word = ""
        self._heartbeat = heartbeat

    def update(self, detail: str) -> None:
        self.detail = detail
        self._heartbeat(self)

    def verdict(self, word: str) -> None:
        self.word = word


class Console:
    """Reports to people."""

    def __init__(
        self,
        *,
        file: TextIO | None = None,
        color: bool | None = None,
        github: bool = False,
        step_summary: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        tick_s: float = 5.0,
    ) -> None:
        """Write to `file`, or stderr; `tick_s` is how often it looks whether a step has been silent for long."""
        sink = file or sys.stderr
        self._tty = sink.isatty() and not github
        self._rich = RichConsole(
            file=sink,
            force_terminal=color or self._tty,
            force_interactive=self._tty,
            no_color=color is False,
            highlight=False,
            width=None if self._tty else 10_000,
        )
        self._github = github
        self._step_summary = step_summary
        self._clock = clock
        self._open: list[_OpenStep] = []
        self._depth = 0
        self._live: Live | None = None
        self._tick_s = tick_s
        self._all_done: Event | None = None

    @contextmanager
    def step(self, title: str, *, parallel: bool = False) -> Iterator[_OpenStep]:
        """Report a step: a live line while it runs, one line with its verdict and time when it ended."""
        step = _OpenStep(printable(title), self._depth, self._clock(), self._heartbeat)
        group = self._github and self._depth == 0 and not parallel
        if group:
            self._print(f"::group::{step.title}")
        self._open.append(step)
        self._depth += not parallel
        self._refresh()
        mark, otherwise = "[green]✓[/]", "done"
        try:
            yield step
        except KeyboardInterrupt:
            mark, otherwise, step.word = "[yellow]![/]", "interrupted", ""
            raise
        except BaseException:
            mark, otherwise, step.word = "[red]✗[/]", "failed", ""
            raise
        finally:
            self._open.remove(step)
            self._depth -= not parallel
            if group:
                self._print("::endgroup::")
            if step.word == "failed":
                mark = "[red]✗[/]"
            self._line(step, mark, step.word or otherwise)
            self._refresh()

    def output(self, line: str) -> None:
        """Pass a tool's line on."""
        self._print(_visible(line.expandtabs()))

    def note(self, message: str) -> None:
        self._print(f"{'  ' * self._depth}{_visible(message)}")

    def warning(self, message: str) -> None:
        self._said("warning", "yellow", message)

    def error(self, message: str, hint: str = "") -> None:
        self._said("error", "red", message)
        if hint:
            self._rich.print(f"[cyan]hint:[/] {escape(_visible(hint))}", soft_wrap=True)

    def summary(self, title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
        table = Table(
            *header, title=escape(printable(title)), title_justify="left", box=None, padding=(0, 2, 0, 0)
        )
        for row in rows:
            table.add_row(*(escape(printable(cell)) for cell in row))
        self._rich.print(table)
        if self._step_summary:
            with self._step_summary.open("a", encoding="utf-8") as page:
                page.write(markdown_table(title, header, rows))

    def _said(self, kind: str, style: str, message: str) -> None:
        message = _visible(message)
        if self._github:
            text = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            self._print(f"::{kind}::{text}")
        else:
            self._rich.print(f"[{style}]{kind}:[/] {escape(message)}", soft_wrap=True)

    def _print(self, line: str) -> None:
        self._rich.print(Text(line), soft_wrap=True)

    def _line(self, step: _OpenStep, mark: str, word: str) -> None:
        took = duration(self._clock() - step.started)
        self._rich.print(
            f"{'  ' * step.depth}{mark} {escape(step.title)}  {escape(word)}  {took}", soft_wrap=True
        )

    def _heartbeat(self, step: _OpenStep) -> None:
        now = self._clock()
        if self._tty or now - step.spoke < _HEARTBEAT_S:
            return
        step.spoke = now
        words = (step.title, step.detail, duration(now - step.started))
        self._print(f"{'  ' * step.depth}… {'  '.join(word for word in words if word)}")

    def _refresh(self) -> None:
        """Keep the live lines on screen, or a watch over silent steps, exactly while something runs."""
        if not self._tty:
            self._watch()
        elif self._open and not self._live:
            self._live = Live(
                console=self._rich, get_renderable=self._running, transient=True, refresh_per_second=4,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start()
        elif self._live and not self._open:
            self._live.stop()
            self._live = None

    def _watch(self) -> None:
        if self._open and not self._all_done:
            self._all_done = Event()
            Thread(target=self._beat, args=(self._all_done,), daemon=True).start()
        elif self._all_done and not self._open:
            self._all_done.set()
            self._all_done = None

    def _beat(self, all_done: Event) -> None:
        """Have the innermost step say that it is under way, if nobody else does: a bootstrap tells nothing for minutes."""
        while not all_done.wait(self._tick_s):
            for step in self._open[-1:]:
                self._heartbeat(step)

    def _running(self) -> Group:
        now = self._clock()
        return Group(
            *(
                Text(
                    f"{'  ' * step.depth}· {step.title}  {step.detail}  {duration(now - step.started)}",
                    no_wrap=True,
                )
                for step in tuple(self._open)
            )
        )


def _visible(text: str) -> str:
    """Spell control characters out, line by line: it may hold somebody else's words, and a terminal obeys them."""
    return "\n".join(map(printable, text.split("\n")))
