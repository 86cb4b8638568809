"""One measured series with all that tells it from others, as a line of bench.jsonl, and how several of them rank. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from build.bench.series import Series, Statistics
from build.recipe.naming import directory_name
from build.recipe.refs import Digest

__all__ = ["HEADER", "RANKED", "Key", "Record", "leaderboard", "rows"]

HEADER = ("prompt", "runs", "tokens/s", "range", "sigma", "prompt tokens/s", "drafts taken", "trend")
RANKED = ("rank", "image", "tag", "digest", "tokens/s", "trend")
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What must be equal before two speeds are of one thing."""

    digest: Digest
    """Of the image's manifest."""
    gpu: str
    """The GPU's name, or `cpu`."""
    driver: str
    """Version of the GPU's driver; empty without one."""
    context: int
    """Tokens of the prompt that were asked for."""
    model: str
    """SHA-256 of the model's first file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One series and its verdict."""

    at: str
    """Time of day in UTC, ISO 8601."""
    recipe: str
    variant: str
    tag: str
    key: Key
    model_file: str
    arguments: tuple[str, ...]
    """The server's command line."""
    predict: int
    """Tokens that each answer was asked for."""
    series: Series
    statistics: Statistics
    falls: tuple[str, ...]
    """Why the gate on the trend does not pass it; empty where it does."""

    @property
    def name(self) -> str:
        return directory_name(self.recipe, self.variant)


def rows(records: Iterable[Record]) -> tuple[tuple[str, ...], ...]:
    """Lay records out below `HEADER`."""
    return tuple(
        (
            str(record.key.context),
            str(len(record.series.runs)),
            f"{record.statistics.mean:.1f}",
            f"{record.statistics.low:.1f} to {record.statistics.high:.1f}",
            f"{record.statistics.sigma:.1f}",
            f"{record.statistics.prompt_mean:.0f}",
            "" if record.statistics.acceptance is None else f"{record.statistics.acceptance:.0%}",
            "falls" if record.falls else "steady",
        )
        for record in records
    )


def leaderboard(known: Iterable[Record], like: Record) -> tuple[tuple[str, ...], ...]:
    """Rank, below `RANKED`, what was measured under the same conditions: each image by its latest record, the fastest first.

    An image that falls has no rank: its mean says nothing.
    """
    latest: dict[Digest, Record] = {}
    for record in known:
        if _conditions(record) == _conditions(like):
            latest[record.key.digest] = record
    ranked = sorted(latest.values(), key=lambda record: (bool(record.falls), -record.statistics.mean))
    return tuple(
        (
            "" if record.falls else str(place),
            record.name,
            record.tag,
            record.key.digest.hex[:_SHORT],
            f"{record.statistics.mean:.1f}",
            "falls" if record.falls else "steady",
        )
        for place, record in enumerate(ranked, 1)
    )


def _conditions(record: Record) -> tuple[str, str, int, str, int]:
    return (record.key.gpu, record.key.driver, record.key.context, record.key.model, record.predict)
