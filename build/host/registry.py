"""A registry server on loopback, for demos and tests: start, stop, status. Never reachable from another machine."""

import http.client
import json
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import Unavailable
from build.host import debian, processes
from build.settings import Settings

__all__ = ["RegistryServer", "configuration", "start", "status", "stop"]

_READY_S = 20.0
_HOST = "127.0.0.1"
_PROGRAM = "docker-registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryServer:
    """A registry server that runs."""

    address: str
    """`127.0.0.1:<port>`; engines speak plain HTTP to loopback without being told."""
    pid: int
    log: Path


def configuration(data: Path, port: int) -> str:
    """Write the server's configuration: loopback only, deletion allowed, nothing sent anywhere. JSON is YAML."""
    return json.dumps(
        {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
            "http": {"addr": f"{_HOST}:{port}"},
        },
        indent=2,
    )


def start(
    settings: Settings,
    reporter: Reporter,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> RegistryServer:
    """Start the server, or find it running. Its port is kept, so that references stay valid."""
    folder = _folder(settings)
    with store.locked(folder.with_name("registry.lock")):
        running = status(settings)
        if running and _answers(running.address):
            return running
        with reporter.step("registry on loopback") as step:
            program = _program(folder)
            _end(settings)
            port = _port(folder)
            file = folder / "config.json"
            store.write_text(file, configuration(folder / "data", port))
            store.write_text(folder / "port", f"{port}\n")
            pid = process.spawn(
                (program, "serve", str(file)), log=folder / "log", env={"OTEL_TRACES_EXPORTER": "none"}
            )
            store.write_text(folder / "pid", f"{pid}\n")
            until = clock() + _READY_S
            while not _answers(f"{_HOST}:{port}"):
                if not processes.alive(pid) or clock() > until:
                    _end(settings)
                    raise _did_not_start(folder / "log")
                sleep(0.05)
            step.verdict(f"listens on {_HOST}:{port}")
    return RegistryServer(address=f"{_HOST}:{port}", pid=pid, log=folder / "log")


def stop(settings: Settings, *, purge: bool = False) -> bool:
    """Stop the server; with `purge` its images go too. Returns whether it ran."""
    folder = _folder(settings)
    with store.locked(folder.with_name("registry.lock")):
        ran = _end(settings)
        if purge:
            store.discard(folder)
    return ran


def status(settings: Settings) -> RegistryServer | None:
    """Find the running server."""
    folder = _folder(settings)
    pid, port = processes.pid_in(folder / "pid"), processes.pid_in(folder / "port")
    if pid and port and processes.alive(pid, names=str(folder)):
        return RegistryServer(address=f"{_HOST}:{port}", pid=pid, log=folder / "log")
    return None


def _folder(settings: Settings) -> Path:
    return settings.cache.resolve() / "engine" / settings.engine_name / "registry"


def _end(settings: Settings) -> bool:
    running = status(settings)
    if running:
        processes.end((running.pid,), patience_s=10.0)
    store.discard(_folder(settings) / "pid")
    return running is not None


def _program(folder: Path) -> str:
    """Take the installed program, or unpack the distribution's: installing it would start a service."""
    found = shutil.which(_PROGRAM, path=debian.SYSTEM_PATH)
    if found:
        return found
    archive = debian.read_archive()
    packages = folder.with_name("registry-packages")
    debian.ensure_unpacked((f"{_PROGRAM}/{archive.codename}",), into=packages, archive=archive)
    return str(packages / "usr" / "bin" / _PROGRAM)


def _port(folder: Path) -> int:
    """Keep the port of last time if nobody else took it."""
    for wanted in (processes.pid_in(folder / "port") or 0, 0):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    message = "no free port on loopback"
    raise Unavailable(message)


def _answers(address: str) -> bool:
    with closing(http.client.HTTPConnection(address, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False


def _did_not_start(log: Path) -> Unavailable:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
    message = f"the registry server did not start:\n{tail}"
    return Unavailable(message, hint=f"the whole log is {log}")
