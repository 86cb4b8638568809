"""What the second build has otherwise: everything that was chosen and can be, and a reason for the rest."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import BadRequest
from build.verify.variations import VARIATIONS, Here, chosen, conditions

HERE = Here(
    env={"HOME": "/home/me", "LC_ALL": "de_DE.UTF-8"},
    cwd=Path("/checkout"),
    umask=0o022,
    cpus=(0, 1, 2, 5, 6),
    can_limit_cpus=True,
)
WORK = Path("/work-folder")
ALL = chosen(())


def test_everything_is_varied() -> None:
    found = conditions(HERE, ALL, WORK, no_engine="", compiled="on, 3 hits and 1 misses")
    assert [one.name for one in found.varied] == [name for name, _ in VARIATIONS]
    assert [one.why_not for one in found.varied] == [""] * len(VARIATIONS)
    assert all(one.before != one.after for one in found.varied)
    assert found.env == {
        "HOME": "/work-folder/home", "USER": "someone-else", "LOGNAME": "someone-else", "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C", "PYTHONHASHSEED": "1", "TMPDIR": "/work-folder/tmp",
    }  # fmt: skip
    assert (found.cwd, found.umask, found.cpus) == (WORK, 0o002, (0, 1))
    assert (found.own_engine, found.compile_cache) == (True, False)
    assert found.shift_s > 0


def test_what_the_second_build_has_is_never_what_is_here() -> None:
    env = {"TZ": "Pacific/Kiritimati", "LANG": "C", "PYTHONHASHSEED": "1"}
    found = conditions(replace(HERE, env=env, umask=0o002), ALL, WORK, no_engine="", compiled="on")
    assert (found.env["TZ"], found.env["LC_ALL"], found.env["PYTHONHASHSEED"]) == (
        "Etc/GMT+12",
        "C.UTF-8",
        "2",
    )
    assert found.umask == 0o022


@pytest.mark.parametrize("name", [name for name, _ in VARIATIONS])
def test_each_can_be_left_out(name: str) -> None:
    found = conditions(HERE, chosen((name,)), WORK, no_engine="", compiled="on")
    left = {one.name: one.why_not for one in found.varied if one.why_not}
    assert left.pop(name) == "left out by --without"
    assert set(left) == ({"cpus"} if name == "engine" else set()), "an engine that runs has its CPUs"
    everything = conditions(HERE, ALL, WORK, no_engine="", compiled="on")
    assert replace(found, varied=()) != replace(everything, varied=())


@pytest.mark.parametrize(
    ("here", "no_engine", "name", "words"),
    [
        (HERE, "it needs root", "engine", "it needs root"),
        (HERE, "it needs root", "cpus", "the engine in use has all of them already"),
        (replace(HERE, cpus=(3,)), "", "cpus", "this machine has one"),
        (replace(HERE, can_limit_cpus=False), "", "cpus", f"{os.uname().sysname} has no taskset here"),
    ],
)
def test_what_cannot_be_varied_says_why(here: Here, no_engine: str, name: str, words: str) -> None:
    found = conditions(here, ALL, WORK, no_engine=no_engine, compiled="on")
    (one,) = (one for one in found.varied if one.name == name)
    assert one.why_not == words
    assert one.before == one.after
    assert found.cpus == ()


def test_a_name_that_is_none() -> None:
    with pytest.raises(BadRequest, match="there is no variation 'umsk'") as error:
        chosen(("ccache", "umsk"))
    assert "umask" in error.value.hint
