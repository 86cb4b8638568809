"""Runs a patch set in a process of its own and notes what each of its patches does to which file.

`python -m patching.observe SITE RESULTS REGISTRY PATCHER [argument ...]`. The set's own program runs, in its own order; only
each entry of its registry is wrapped, and the class that edits files. One line of JSON for each patch that has ended, so
that what was seen outlives whatever the set does to the process.
"""

import functools
import importlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .orders import FileChange
from .snapshot import Watched

__all__ = ["Anchor", "Attempt", "Observed", "read_observed"]

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
"""What Python prints of an object that has no words of its own: another one in each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A text that a patch looks for, and how often the file had it."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One file that a patch tried to edit."""

    path: str
    said: str
    anchors: tuple[Anchor, ...]
    upstream: str
    """The text by which the patch recognises that upstream has the change, where the file had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One patch: what it said, and what it did."""

    title: str
    said: str
    reason: str
    changes: tuple[FileChange, ...] = ()
    attempts: tuple[Attempt, ...] = ()


@dataclass(slots=True)
class Observer:
    """Wraps a set's registry and its patcher."""

    site: Path
    watched: Watched
    results: Path
    attempts: list[Attempt] = field(default_factory=list)

    def patch(self, title: str, run: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap one entry of the registry."""

        @functools.wraps(run)
        def observed() -> Any:  # noqa: ANN401  (the set's own answer)
            self._note("", "changed between patches", "")
            try:
                result = run()
            except BaseException as error:
                self._note(title, "failed", f"{type(error).__name__}: {error}")
                raise
            said, reason = _said(result)
            self._note(title, said, reason)
            return result

        return observed

    def patcher(self, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Wrap the method by which the set edits one file."""

        @functools.wraps(run)
        def observed(this: Any) -> Any:  # noqa: ANN401  (the set's own class)
            path = Path(this.target_file)
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            result = run(this)
            known = next((mark for mark in this.upstream_drift_markers if mark in text), "")
            attempt = Attempt(
                path=path.relative_to(self.site).as_posix() if path.is_relative_to(self.site) else str(path),
                said=_said(result)[0],
                anchors=tuple(
                    Anchor(name=one.name, count=text.count(one.anchor)) for one in this.sub_patches
                ),
                upstream=known,
            )
            self.attempts.append(attempt)
            return result

        return observed

    def _note(self, title: str, said: str, reason: str) -> None:
        changes = self.watched.changes()
        attempts, self.attempts = tuple(self.attempts), []
        if title or changes:
            words = _ADDRESS.sub("0x...", reason.replace(f"{self.site}/", "").replace(f"{Path.cwd()}/", ""))
            one = Observed(title=title, said=said, reason=words, changes=changes, attempts=attempts)
            with self.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(one)) + "\n")


def _said(result: object) -> tuple[str, str]:
    """Read the answers that patch sets give: a value with status and reason, a pair of them, an enumeration, yes or no."""
    if isinstance(result, bool):
        return ("applied" if result else "failed"), ""
    if isinstance(result, tuple):
        head, *rest = result
        return _said(head)[0], str(rest[0] or "") if rest else ""
    status = getattr(result, "status", result)
    return str(getattr(status, "value", status)), str(getattr(result, "reason", ""))


def read_observed(path: Path) -> tuple[Observed, ...]:
    """Read the lines back that an observed run has left."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return tuple(_observed(json.loads(line)) for line in lines)


def _observed(data: dict[str, Any]) -> Observed:
    changes = tuple(FileChange(**one) for one in data["changes"])
    attempts = tuple(
        Attempt(**{**one, "anchors": tuple(Anchor(**anchor) for anchor in one["anchors"])})
        for one in data["attempts"]
    )
    return Observed(**{**data, "changes": changes, "attempts": attempts})


def main(site: str, results: str, registry: str, patcher: str, *arguments: str) -> int:
    """Run the set's own `main`, observed."""
    module_name, _, name = registry.partition(":")
    module = importlib.import_module(module_name)
    # Watched once everything is imported: what an import leaves behind is no patch's doing.
    observer = Observer(Path(site), Watched(Path(sys.prefix), Path(site)), Path(results))
    entries = getattr(module, name)
    entries[:] = [(title, observer.patch(title, run)) for title, run in entries]
    if patcher:
        class_module, _, class_name = patcher.partition(":")
        edits = getattr(importlib.import_module(class_module), class_name)
        edits.apply = observer.patcher(edits.apply)
    sys.argv = [str(module.__file__), *arguments]
    return int(module.main() or 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
