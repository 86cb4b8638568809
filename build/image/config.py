"""The image configuration of an OCI layout as types: JSON in, values out. Pure; knows nothing of files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from build.doors.jsonvalues import digest, items, mapping, text
from build.recipe.refs import Digest

__all__ = ["History", "ImageConfig", "parse_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One step of the image's history."""

    created_by: str
    empty_layer: bool
    """The step changed the configuration only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How a container of the image starts, and what its layers unpack to."""

    architecture: str
    os: str
    created: str
    diff_ids: tuple[Digest, ...]
    env: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    healthcheck: tuple[str, ...] = ()
    """The test as an engine stores it: `CMD` or `CMD-SHELL`, then the command."""
    ports: tuple[str, ...] = ()
    history: tuple[History, ...] = field(default=(), repr=False)

    def variable(self, name: str) -> str:
        """Return the value of an environment variable, or an empty string."""
        return dict(self.env).get(name, "")


def parse_config(document: object) -> ImageConfig:
    """Decode the configuration blob. Raises MalformedError."""
    top = mapping(document, "the configuration")
    run = mapping(top.get("config") or {}, "config")
    rootfs = mapping(top.get("rootfs"), "rootfs")
    return ImageConfig(
        architecture=text(top.get("architecture"), "architecture"),
        os=text(top.get("os"), "os"),
        created=text(top.get("created") or "", "created"),
        diff_ids=tuple(
            digest(value, "rootfs.diff_ids") for value in items(rootfs.get("diff_ids"), "rootfs.diff_ids")
        ),
        env=tuple(_pair(entry) for entry in _texts(run, "Env")),
        labels=tuple(
            sorted(
                (name, text(value, f"config.Labels.{name}"))
                for name, value in mapping(run.get("Labels") or {}, "config.Labels").items()
            )
        ),
        user=text(run.get("User") or "", "config.User"),
        entrypoint=_texts(run, "Entrypoint"),
        cmd=_texts(run, "Cmd"),
        workdir=text(run.get("WorkingDir") or "", "config.WorkingDir"),
        healthcheck=_texts(mapping(run.get("Healthcheck") or {}, "config.Healthcheck"), "Test"),
        ports=tuple(sorted(mapping(run.get("ExposedPorts") or {}, "config.ExposedPorts"))),
        history=tuple(_history(top.get("history") or [])),
    )


def _texts(run: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(text(value, f"config.{key}") for value in items(run.get(key) or [], f"config.{key}"))


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _history(steps: object) -> Iterator[History]:
    for step in items(steps, "history"):
        entry = mapping(step, "history")
        yield History(
            created_by=text(entry.get("created_by") or "", "history.created_by"),
            empty_layer=entry.get("empty_layer") is True,
        )
