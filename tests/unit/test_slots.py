"""How many compilers run at once: the scripts of the compile step, with real locks and real processes, on a machine of any size."""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "dockerfiles" / "scripts"
HANGS_S = 60
PROGRAMS = {
    "nproc": 'echo "$CORES"',
    # What slot.sh reads: the machine's memory, and that of the processes that it sees, its own among them.
    "cat": 'echo tried > "$EVENTS"; case "$*" in "/proc/meminfo "*"/proc/$PPID/status"*) exec /bin/cat "$MEMORY" ;; esac',
    # Called as `cmake --build DIR --parallel JOBS`; starts jobs as ninja does, each by the prefix, as ccache does.
    "cmake": """
        export INGOT_SLOTS_DIR="$SLOTS"
        while [ "$4" -gt "${started:=0}" ]; do
            $CCACHE_PREFIX compiler &
            started=$((started + 1))
        done
        wait""",
    "compiler": """
        touch "$RUNNING/$$"
        echo "begun $BUILD $(ls "$RUNNING" | wc -l) $$" > "$EVENTS"
        exec flock --shared "$GATE" rm "$RUNNING/$$\"""",
}

pytestmark = pytest.mark.processes


@dataclass(kw_only=True)
class Build:
    """A compile step whose compilers end when they may."""

    process: subprocess.Popen[bytes]
    gate: int
    """Locked for as long as they may not."""


@dataclass(kw_only=True)
class Machine:
    root: Path
    cores: int
    events: int = -1
    seen: list[list[str]] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)

    def prepare(self) -> None:
        for name in ("bin", "slots", "running"):
            (self.root / name).mkdir()
        for name in ("compile.sh", "slot.sh"):
            shutil.copy(SCRIPTS / name, self.root)
        for name, text in PROGRAMS.items():
            (self.root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.root / "bin" / name).chmod(0o755)
        os.mkfifo(self.root / "events")
        self.events = os.open(self.root / "events", os.O_RDWR)

    def memory(self, available_gib: int, held_gib: int = 0) -> None:
        """Have so much memory free, and so much held by the build that asks."""
        text = f"MemAvailable: {available_gib << 20} kB\nRssAnon: {held_gib << 19} kB\nRssAnon: {held_gib << 19} kB\n"
        (self.root / "memory.new").write_text(text)
        (self.root / "memory.new").replace(self.root / "memory")

    def build(self, name: str) -> Build:
        gate = os.open(self.root / f"gate-{name}", os.O_CREAT | os.O_RDWR)
        fcntl.flock(gate, fcntl.LOCK_EX)
        paths = {one: str(self.root / one) for one in ("events", "memory", "slots", "running")}
        env = {
            **{key.upper(): path for key, path in paths.items()},
            "PATH": f"{self.root}/bin:/usr/bin:/bin",
            "BUILD": name,
            "CORES": str(self.cores),
            "GATE": str(self.root / f"gate-{name}"),
        }
        argv = ("sh", str(self.root / "compile.sh"), "/build/main")
        process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
        self.builds.append(Build(process=process, gate=gate))
        return self.builds[-1]

    def until(self, *words: str, times: int = 1) -> list[str]:
        """Read on until there are so many events that begin with these words, and return the last one."""
        hangs = time.monotonic() + HANGS_S
        while sum(event[: len(words)] == list(words) for event in self.seen) < times:
            ready, _, _ = select.select([self.events], [], [], max(0, hangs - time.monotonic()))
            assert ready, f"never saw {words} {times} times, only {self.seen}"
            # As much as a pipe holds: no line is cut in two.
            self.seen += [line.split() for line in os.read(self.events, 1 << 16).decode().splitlines()]
        return [event for event in self.seen if event[: len(words)] == list(words)][-1]

    def let_end(self, *builds: Build) -> None:
        for one in builds:
            os.close(one.gate)
        assert [one.process.wait(timeout=HANGS_S) for one in builds] == [0] * len(builds)

    @property
    def most_at_once(self) -> int:
        return max(int(event[2]) for event in self.seen if event[0] == "begun")

    def end(self) -> None:
        for one in self.builds:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
        os.close(self.events)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(root=tmp_path, cores=8)
    made.prepare()
    yield made
    made.end()


@pytest.mark.parametrize(
    ("cores", "available", "held", "at_once"),
    [
        pytest.param(8, 14, 0, 7, id="memory-for-seven"),
        pytest.param(8, 2, 12, 7, id="most-of-it-held-by-the-build-itself"),
        pytest.param(2, 1, 0, 1, id="memory-for-none"),
        pytest.param(8, 1, 13, 1, id="none-free-though-the-build-holds-much"),
        pytest.param(2, 64, 0, 2, id="more-memory-than-cores"),
    ],
)
def test_as_many_compile_as_cores_and_memory_allow(
    machine: Machine, cores: int, available: int, held: int, at_once: int
) -> None:
    """Of two builds together, which have twice as many jobs as cores; none ends before the last has asked for a slot."""
    machine.cores = cores
    machine.memory(available, held)
    both = machine.build("a"), machine.build("b")
    machine.until("begun", times=at_once)
    machine.until("tried", times=2 * cores + 1)
    machine.let_end(*both)
    machine.until("begun", times=2 * cores)
    assert machine.most_at_once == at_once


def test_a_build_that_begins_beside_another_gets_all_slots_when_that_has_ended(machine: Machine) -> None:
    machine.memory(14)
    first = machine.build("first")
    machine.until("begun", "first", times=7)
    machine.until("tried", times=machine.cores + 1)
    machine.memory(6)
    second = machine.build("second")
    machine.until("tried", times=2 * machine.cores + 1)
    machine.memory(14)
    machine.let_end(first)
    # None of them ends before it may, so these run at the same time.
    machine.until("begun", "second", times=7)
    machine.let_end(second)
    machine.until("begun", times=2 * machine.cores)
    assert machine.most_at_once == 7


def test_a_killed_compiler_leaves_its_slot(machine: Machine) -> None:
    machine.cores = 1
    machine.memory(14)
    machine.build("first")
    *_, compiler = machine.until("begun", "first")
    second = machine.build("second")
    machine.until("tried", times=3)
    os.kill(int(compiler), signal.SIGKILL)
    machine.until("begun", "second")
    machine.let_end(second)


def test_a_killed_build_leaves_its_place_in_the_queue(machine: Machine) -> None:
    machine.cores = 1
    machine.memory(14)
    first = machine.build("first")
    machine.until("begun", "first")
    killed = machine.build("killed")
    machine.until("tried", times=3)
    os.killpg(killed.process.pid, signal.SIGKILL)
    last = machine.build("last")
    machine.until("tried", times=5)
    machine.let_end(first)
    machine.until("begun", "last")
    machine.let_end(last)
    assert not [event for event in machine.seen if event[:2] == ["begun", "killed"]]


def alone(machine: Machine, *words: str) -> int:
    """Run one compiler by slot.sh, without a build around it; returns its status."""
    env = {
        "PATH": f"{machine.root}/bin:/usr/bin:/bin",
        "INGOT_SLOTS": "1",
        "INGOT_SLOTS_DIR": str(machine.root / "slots"),
        "EVENTS": str(machine.root / "events"),
        "MEMORY": str(machine.root / "memory"),
    }
    argv = ("sh", str(machine.root / "slot.sh"), *words)
    return subprocess.run(argv, env=env, check=False, timeout=HANGS_S).returncode


def test_the_compilers_status_is_passed_on(machine: Machine) -> None:
    machine.memory(14)
    assert alone(machine, "sh", "-c", "exit 3") == 3


def test_what_another_build_planted_in_the_shared_folder_is_not_emptied(machine: Machine) -> None:
    source = machine.root / "source.cpp"
    source.write_text("int main() {}")
    (machine.root / "slots" / "1").symlink_to(source)
    machine.memory(14)
    assert alone(machine, "true") == 0
    assert source.read_text() == "int main() {}"


def test_a_pipe_that_another_build_planted_is_waited_for_by_nobody(machine: Machine) -> None:
    os.mkfifo(machine.root / "slots" / "1")
    machine.memory(14)
    assert alone(machine, "true") == 0
