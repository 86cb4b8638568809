"""Images that mean harm: each ends in a failed check, in its own words, in bounded time, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from build.doors import store
from build.doors.effects import EngineHandle
from build.recipe.model import SmokeEndpoint, SmokeModel
from build.settings import Settings
from tests.integration.conftest import Checkout
from tests.integration.hostiles import Hostile, build_hostile, containers, tampered

pytestmark = pytest.mark.engine

PROPS = (SmokeEndpoint(path="/props", expect="ok"),)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="session")
def hostile(
    good: Checkout, settings: Settings, engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory
) -> Hostile:
    return build_hostile(good, settings, engine, tmp_path_factory.mktemp("hostile") / "image")


def processes() -> list[int]:
    """The attacks' processes, wherever they run: a host sees those of its containers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "hostile":
                found.append(int(entry.name))
        except OSError:  # it ended
            continue
    return found


@pytest.fixture
def work(tmp_path: Path, hostile: Hostile) -> Iterator[Path]:
    """A folder for one smoke test, after which nothing of it may be left: container, process, thread, file."""
    open_files = list(Path("/proc/self/fd").iterdir())
    threads = threading.active_count()
    yield tmp_path
    assert containers(hostile.handle, tmp_path / "smoke") == []
    assert processes() == []
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= len(open_files)
    left = {path.name for path in (tmp_path / "smoke").rglob("*")}
    assert left <= {".lock", "scratch"}, "nothing but locks and the folder for what is under way"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    words: tuple[str, ...]
    check: str
    """The check that fails."""
    says: tuple[str, ...]
    within_s: float = 45.0
    promises: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "-".join((self.words[0], *sorted(self.config))).lower()


ATTACKS = (
    Attack(
        words=("fork-bomb",),
        check="resources",
        says=("it had 1024 processes and threads, as many as it may have",),
        within_s=180,
    ),
    Attack(
        words=("flood",),
        check="resources",
        says=("it printed more than 8 MiB of log and was killed",),
    ),
    Attack(
        words=("fill", "/", "/app", "/var/tmp", "/tmp", "/dev/shm", "/dev", "/dev/mqueue", "/ingot/model"),
        check="health",
        says=(
            "the server ended with status 1 before /health answered 200; its last lines:",
            "/: 0 MiB, then: Read-only file system",
            "/app: 0 MiB, then: Permission denied",
            "/var/tmp: 0 MiB, then: Read-only file system",
            "/tmp: 64 MiB, then: No space left on device",
            "/dev/shm: 64 MiB, then: No space left on device",
            "/dev: 0 MiB, then: Permission denied",
            "/dev/mqueue: 0 MiB, then: Invalid argument",
            "/ingot/model: 0 MiB, then: Read-only file system",
        ),
        promises={"model": SmokeModel.MINI},
    ),
    Attack(
        words=("fill", "/data"),
        check="version",
        says=("declares volumes (/data): a container could fill the disk",),
        config={"Volumes": {"/data": {}}},
    ),
    Attack(words=("no-sigterm",), check="sigterm", says=("the server did not end within 10 s of SIGTERM",)),
    Attack(
        words=("balloon",),
        check="health",
        says=("the server was killed for memory before /health answered 200",),
        within_s=90,
    ),
    Attack(
        words=("balloon-child",),
        check="resources",
        says=("out of memory: the kernel killed it, or a process of it, at its limit of 4 GiB",),
        within_s=90,
    ),
    Attack(
        words=("endless-body",),
        check="endpoints",
        says=("GET /props failed: the probe was killed when it had printed 8 MiB: the answer does not end",),
        promises={"endpoints": PROPS},
    ),
    Attack(
        words=("slow-body",),
        check="endpoints",
        says=("GET /props failed: ", "curl: (28) Operation timed out after 30"),
        promises={"endpoints": PROPS},
        within_s=75,
    ),
    Attack(
        words=("giant-header",),
        check="endpoints",
        says=("GET /props failed: curl: (",),
        promises={"endpoints": PROPS},
    ),
    Attack(
        words=("many-headers",),
        check="endpoints",
        says=("GET /props failed: curl: (",),
        promises={"endpoints": PROPS},
        within_s=75,
    ),
    Attack(
        words=("nested-json",),
        check="tokens",
        says=("answer 1: no JSON: '[[[[",),
        promises={"model": SmokeModel.MINI, "args": ("--model", "{model}")},
    ),
    Attack(
        words=("endless-version",),
        check="version",
        says=("`--version` was killed when it had printed 8 MiB: yyyy",),
    ),
    Attack(
        words=("hanging-version",),
        check="version",
        says=("`--version` was killed after 6",),  # 60 s, and a little more on a busy machine
        within_s=100,
    ),
    Attack(
        words=("hanging-flags",),
        check="arguments",
        says=(
            "the promised `-a` was killed after 6",
            "`-b` should be refused and was killed after 6",
        ),
        promises={"flags": ("-a",), "refused": ("-b",)},
        within_s=150,
    ),
    Attack(
        words=("daemons",),
        check="health",
        says=(
            "the server ended with status 0 before /health answered 200; its last lines:",
            "five daemons are on their own now",
        ),
    ),
    Attack(
        words=("climb",),
        check="health",
        says=(
            "Uid: 10001 10001 10001 10001",
            "CapEff: 0000000000000000",
            "CapBnd: 0000000000000000",
            "NoNewPrivs: 1",
            "Seccomp: 2",
            "core 0, open files 4096",
            "setuid: Operation not permitted",
            "mount: Operation not permitted",
            "mknod: Operation not permitted",
            "user namespace: Operation not permitted",
            "host name: Operation not permitted",
        ),
        # What the image says of its user is not asked.
        config={"User": "root"},
    ),
    Attack(
        words=("absent",),
        check="health",
        says=("starting a container of ingot.local/", "/minifork:", "/app/absent"),
        config={"Entrypoint": ["/app/absent"]},
    ),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_is_harmless_and_fails(attack: Attack, hostile: Hostile, work: Path) -> None:
    tested = hostile.smoke(work, attack.words, config=attack.config, **attack.promises)
    for text in attack.says:
        assert text in tested.failed(attack.check), tested.results
    assert tested.seconds < attack.within_s
    report = json.dumps(store.to_data(tuple(tested.results.values())), ensure_ascii=False)
    assert len(report) < 200_000


def test_an_endless_log_is_on_no_disk(hostile: Hostile, work: Path, engine: EngineHandle) -> None:
    """Four and a half gigabytes in six minutes, once; the engine's own folder is looked at while it pours."""
    folder = Path(asked(engine, "info", "--format", "{{.DockerRootDir}}")) / "containers"
    assert folder.is_dir()
    logs: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            logs.update(path.name for path in folder.rglob("*") if path.suffix == ".log" and sized(path))

    watcher = threading.Thread(target=look)
    watcher.start()
    tested = hostile.smoke(work, ("flood",))
    over.set()
    watcher.join()
    detail = tested.results["resources"].detail
    assert detail["log_limit"] == 8 << 20
    assert detail["log_limit"] < detail["log_bytes"] < 20 * detail["log_limit"]
    assert logs == set()


def sized(path: Path) -> bool:
    try:
        return path.stat().st_size > 64 << 10
    except FileNotFoundError:
        return False


def test_no_network_is_reached(hostile: Hostile, work: Path, engine: EngineHandle) -> None:
    """Not a server on this host's loopback, not the engine's bridge, no name server, no other interface."""
    came: list[socket.socket] = []
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.2)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    came.append(server.accept()[0])
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        with socket.create_connection(("127.0.0.1", port)):  # that it would be seen
            time.sleep(0.5)
        assert len(came) == 1
        bridge = bridge_address(engine)
        names = (f"127.0.0.1:{port}", f"{bridge}:{port}", "127.0.0.11:53", "192.0.2.53:53")
        tested = hostile.smoke(work, ("network", *names))
        over.set()
        listener.join()
    said = tested.failed("health")
    for name in names:
        refused = "Connection refused" if name.startswith("127.") else "Network is unreachable"
        assert f"tcp {name}: {refused}" in said
    assert f"udp {bridge}:{port}: Network is unreachable" in said
    assert "udp 192.0.2.53:53: Network is unreachable" in said
    assert re.findall("interface (.*)", said) == ["lo"]
    assert "REACHED" not in said
    assert len(came) == 1
    came[0].close()


def bridge_address(engine: EngineHandle) -> str:
    found = asked(engine, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    assert re.fullmatch(r"[\d.]+", found)
    return found


def asked(engine: EngineHandle, *words: str) -> str:
    environment = {**os.environ, **dict(engine.environment)}
    done = subprocess.run(("docker", *words), env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def texts(value: object) -> Iterator[str]:
    """Every text in a document. Its JSON would show no control character: those are escaped there."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_what_is_printed_commands_no_terminal_and_no_ci(hostile: Hostile, work: Path) -> None:
    tested = hostile.smoke(work, ("garbled",), whole=True)
    for check in ("version", "health"):
        said = tested.failed(check)
        assert r"\x1b[2J\x1b]0;owned\x07\x1b[31mred\x1b[0m" in said
        assert "not utf-8" in said
        assert r"\u202ebackwards" in said
        assert "more characters" in said
        assert "the end" in said
    words = [text for _, text in tested.said]
    evidence = list(texts([store.to_data(one) for one in tested.results.values()]))
    assert any("not utf-8" in text for text in evidence)
    words += evidence
    assert not any(CONTROL.search(text) for text in words)
    assert max(len(line) for text in words for line in text.splitlines()) < 2100


RAGES = {"hanging-version": 1, "hanging-flags": 4, "fork-bomb": 200}
"""Words, and the processes from which on the attack is under way."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize("word", RAGES)
def test_interrupted_while_it_rages(
    word: str, number: signal.Signals, hostile: Hostile, good: Checkout, checkout: Checkout
) -> None:
    """Ctrl-C takes everything along; after a kill the next smoke test does."""
    out = checkout.out / "minifork"
    shutil.copytree(good.out / "minifork", out, symlinks=True)
    (out / "image").rename(out / "good-image")
    (out / "image.json").rename(out / "good-image.json")
    _, built = tampered(hostile.layout, hostile.built, out / "image", (word,))
    store.write_artifact(out / "image.json", built)
    checkout.env.update(own_cache(checkout, hostile.handle))

    begun, code = raging(checkout, RAGES[word], number)
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert time.monotonic() - begun < 40
    assert not (out / "smoke.json").exists()
    smoke = Path(checkout.env["INGOT_CACHE"]) / "smoke"
    if number is signal.SIGINT:
        assert containers(hostile.handle, smoke) == []
        assert processes() == []

    (out / "image").rename(out / "hostile-image")
    (out / "good-image").rename(out / "image")
    (out / "good-image.json").replace(out / "image.json")
    again = checkout.run("smoke", "minifork")
    assert again.code == 0, again.err
    assert checkout.artifact("smoke")["outcome"] == "passed"
    assert containers(hostile.handle, smoke) == []
    assert processes() == []


def own_cache(checkout: Checkout, engine: EngineHandle) -> dict[str, str]:
    """Settings of a cache that no other run smoke-tests below, and the same engine by its address."""
    cache = checkout.root / "cache"
    cache.mkdir()
    (cache / "images").symlink_to(Path(checkout.env["INGOT_CACHE"]) / "images")
    return {**dict(engine.environment), "INGOT_CACHE": str(cache), "INGOT_ENGINE": "host"}


def raging(checkout: Checkout, count: int, number: signal.Signals) -> tuple[float, int]:
    """Smoke-test until the attack is under way, then send a signal; returns when that was, and the exit status."""
    command = (sys.executable, "-m", "build", "smoke", "minifork")
    with subprocess.Popen(
        command,
        cwd=checkout.root,
        env=checkout.env,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  (no thread runs here)
    ) as process:
        until = time.monotonic() + 90
        while len(processes()) < count:
            assert process.poll() is None
            assert time.monotonic() < until, "the attack never began"
            time.sleep(0.05)
        begun = time.monotonic()
        process.send_signal(number)
        process.wait(120)
    return begun, process.returncode


def heed_interrupts() -> None:
    """Programs started in the background inherit that SIGINT is ignored; at a terminal it is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
