"""What a second build has otherwise than the first: named conditions, each with what it was and what it is to be.

Decides; the clock and the process's own conditions are handed in. The time of day always differs and is no choice.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from build.errors import BadRequest
from build.recipe.words import meant
from build.verify.model import Varied

__all__ = ["VARIATIONS", "Conditions", "Here", "chosen", "conditions"]

VARIATIONS: tuple[tuple[str, str], ...] = (
    ("engine", "a second private engine, its state empty"),
    ("place", "another working directory and another TMPDIR"),
    ("home", "another HOME"),
    ("user", "another user name"),
    ("timezone", "another TZ"),
    ("locale", "another LC_ALL"),
    ("hashseed", "another PYTHONHASHSEED"),
    ("umask", "another umask"),
    ("cpus", "half of the CPUs for the engine, so half of the compile jobs at a time, and twice the time"),
    ("file-times", "another time of every file that the engine is sent"),
    ("ccache", "no compile cache"),
)
"""Name and meaning, in the order in which they are told."""

_SHIFT_S = 86_413
"""Seconds that file times are moved by; a constant for all, since equal times must stay those of equal bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This process's own conditions."""

    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    umask: int
    cpus: tuple[int, ...]
    can_limit_cpus: bool
    """There is a taskset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How the second build is run."""

    varied: tuple[Varied, ...]
    env: dict[str, str] = field(repr=False)
    """Laid over this process's environment."""
    cwd: Path
    umask: int
    cpus: tuple[int, ...]
    """The only ones that it may use; none: all."""
    own_engine: bool
    shift_s: int
    compile_cache: bool


_UMASKS = (0o002, 0o022)


def chosen(without: tuple[str, ...]) -> frozenset[str]:
    """Return the variations that are left.

    Raises:
        BadRequest: a name is no variation.
    """
    known = [name for name, _ in VARIATIONS]
    for name in without:
        if name not in known:
            message = f"there is no variation '{name}'"
            raise BadRequest(message, hint=meant(name, known) or f"variations: {', '.join(known)}")
    return frozenset(known) - frozenset(without)


def conditions(
    here: Here, chosen: frozenset[str], work: Path, *, no_engine: str, compiled: str
) -> Conditions:
    """Decide how the second build is run.

    Args:
        here: the conditions of the first build, as far as they are this process's.
        chosen: names of variations.
        work: a folder of the second build's own.
        no_engine: why no second engine can be had; empty: it can.
        compiled: how the first build used the compile cache.
    """
    own_engine = "engine" in chosen and not no_engine
    cpus = here.cpus[: len(here.cpus) // 2] if own_engine and here.can_limit_cpus else ()
    utf8 = here.env.get("LC_ALL", here.env.get("LANG", "")).lower().replace("-", "").endswith("utf8")
    others = {
        "HOME": str(work / "home"),
        "USER": "someone-else",
        "TZ": "Etc/GMT+12" if here.env.get("TZ") == "Pacific/Kiritimati" else "Pacific/Kiritimati",
        "LC_ALL": "C" if utf8 else "C.UTF-8",
        "PYTHONHASHSEED": "2" if here.env.get("PYTHONHASHSEED") == "1" else "1",
    }
    umask = next(one for one in _UMASKS if one != here.umask)
    all_cpus = f"{len(here.cpus)} of this machine"
    # Name, before, after, why it cannot be varied here.
    table = (
        ("engine", "the one in use", "a private one, empty", no_engine),
        ("place", str(here.cwd), str(work), ""),
        *(_variable(here, name, variable, others) for name, variable in _VARIABLES),
        ("umask", f"{here.umask:04o}", f"{umask:04o}", ""),
        ("cpus", all_cpus, str(len(cpus)), _why_all_cpus(here, own_engine=own_engine)),
        ("file-times", "of the files' bytes", f"moved by {_SHIFT_S} s", ""),
        ("ccache", compiled, "off", ""),
    )
    varied = tuple(_varied(*row, is_chosen=row[0] in chosen) for row in table)
    on = frozenset(one.name for one in varied if not one.why_not)
    env = {variable: others[variable] for name, variable in _VARIABLES if name in on}
    if "user" in on:
        env["LOGNAME"] = others["USER"]
    if "place" in on:
        env["TMPDIR"] = str(work / "tmp")
    return Conditions(
        varied=varied,
        env=env,
        cwd=work if "place" in on else here.cwd,
        umask=umask if "umask" in on else here.umask,
        cpus=cpus if "cpus" in on else (),
        own_engine=own_engine,
        shift_s=_SHIFT_S if "file-times" in on else 0,
        compile_cache="ccache" not in on,
    )


_VARIABLES = (
    ("home", "HOME"), ("user", "USER"), ("timezone", "TZ"), ("locale", "LC_ALL"), ("hashseed", "PYTHONHASHSEED"),
)  # fmt: skip


def _variable(here: Here, name: str, variable: str, others: Mapping[str, str]) -> tuple[str, str, str, str]:
    return name, here.env.get(variable, "not set"), others[variable], ""


def _why_all_cpus(here: Here, *, own_engine: bool) -> str:
    if not own_engine:
        return "the engine in use has all of them already"
    if len(here.cpus) == 1:
        return "this machine has one"
    if not here.can_limit_cpus:
        return f"{platform.system()} has no taskset here"
    return ""


def _varied(name: str, before: str, after: str, why_not: str, *, is_chosen: bool) -> Varied:
    why_not = why_not if is_chosen else "left out by --without"
    return Varied(name=name, before=before, after=before if why_not else after, why_not=why_not)
