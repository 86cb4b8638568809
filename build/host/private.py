"""A container engine of our own beside whatever is installed: start, stop, status. Linux with apt, as root.

Programs come from the distribution's archive and are unpacked under the cache. Socket, data, network and
containerd are the engine's own, so any number of them run side by side.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from build.doors import process, store
from build.doors.effects import EngineHandle, Reporter
from build.errors import BadRequest, Unavailable, WorkFailed
from build.host import debian, network, processes
from build.host.place import Place, handle_of, place_of
from build.settings import Settings

__all__ = ["Status", "start", "status", "stop"]

_READY_S = 60.0
_STOP_S = 30.0
_SOCKET_MAX = 100
"""sockaddr_un holds 108 bytes; containerd's own socket is longer than ours by a few."""

_FROM_NEWER = ("docker.io", "docker-cli", "docker-buildx", "containerd")
_NEWER = {"bookworm": "trixie"}
"""Suites whose own docker.io has no buildx, and the suite that stands in: its packages run on the older libc."""

_PROGRAMS = (("iptables", "iptables"), ("ip", "iproute2"), ("ldconfig", "libc-bin"))
_LIBRARIES = (
    ("libseccomp.so.2", "libseccomp2"),
    ("libsystemd.so.0", "libsystemd0"),
    ("libcap.so.2", "libcap2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What one private engine is doing."""

    name: str
    state: Literal["running", "stopped", "left over"]
    """Left over: its daemon is gone and something of it still is there; `stop` clears it away."""
    pid: int | None
    docker_host: str
    log: str


def status(settings: Settings) -> Status:
    """Look at the engine without changing anything."""
    place = place_of(settings)
    pid = _daemon(place)
    left = place.run.exists() or bool(processes.belonging_to(place.run, place.data))
    return Status(
        name=place.name,
        state="running" if pid else "left over" if left else "stopped",
        pid=pid,
        docker_host=f"unix://{place.socket}",
        log=str(place.log),
    )


def start(
    settings: Settings,
    reporter: Reporter,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> EngineHandle:
    """Start the engine, or find it running. Returns when it answers."""
    place = place_of(settings)
    with store.locked(place.folder.with_name(f"{place.name}.lock")):
        _link_credentials(place, settings) if place.docker_config.exists() else None
        if _daemon(place) and _answers(place, settings):
            return handle_of(place, settings)
        _require_root_linux()
        _require_short(place)
        with reporter.step(f"engine {place.name}") as step:
            _install(place, reporter)
            _clear(place)
            _mount_cgroups(reporter)
            _launch(place, settings)
            until = clock() + _READY_S
            while not _answers(place, settings):
                if not _daemon(place) or clock() > until:
                    _clear(place)
                    raise _did_not_start(place)
                sleep(0.1)
            step.verdict(f"listens on {place.socket}")
    return handle_of(place, settings)


def stop(settings: Settings, reporter: Reporter, *, purge: bool = False) -> bool:
    """Stop the engine and remove its processes, mounts and network; with `purge` its data too.

    Returns whether there was anything to do.
    """
    place = place_of(settings)
    with store.locked(place.folder.with_name(f"{place.name}.lock")):
        if status(settings).state == "stopped" and not (purge and place.folder.exists()):
            return False
        _require_root_linux()
        with reporter.step(f"engine {place.name}") as step:
            _clear(place)
            if purge:
                store.discard(place.folder)
            step.verdict("stopped, data deleted" if purge else "stopped")
    return True


def _daemon(place: Place) -> int | None:
    """Find the daemon's process; a pid file whose process is somebody else's does not count."""
    pid = processes.pid_in(place.pidfile)
    return pid if pid and processes.alive(pid, names=str(place.folder)) else None


def _answers(place: Place, settings: Settings) -> bool:
    environment = dict(handle_of(place, settings).environment)
    if not place.socket.exists():
        return False
    try:
        argv = (str(place.packages / "usr" / "bin" / "docker"), "version", "--format", "{{.Server.Version}}")
        return process.run(argv, env=environment, check=False, timeout_s=10).status == 0
    except WorkFailed:
        return False


def _require_root_linux() -> None:
    if platform.system() != "Linux":
        message = "a private engine needs Linux"
        raise Unavailable(
            message, hint="start Docker Desktop or colima with the containerd image store, INGOT_ENGINE=host"
        )
    if os.geteuid() != 0:
        message = "a private engine needs root"
        raise Unavailable(message, hint="run as root, or use an engine of the host's: INGOT_ENGINE=host")


def _require_short(place: Place) -> None:
    if len(str(place.socket)) > _SOCKET_MAX:
        message = f"{place.socket} is too long for a socket ({_SOCKET_MAX} characters)"
        raise BadRequest(message, hint="set XDG_RUNTIME_DIR or TMPDIR to a shorter path")


def _install(place: Place, reporter: Reporter) -> None:
    archive = debian.read_archive()
    newer = _NEWER.get(archive.codename, archive.codename)
    own = ("runc",) if not shutil.which("runc", path=debian.SYSTEM_PATH) else ()
    wanted = (*(f"{name}/{newer}" for name in _FROM_NEWER), *(f"{name}/{archive.codename}" for name in own))
    if debian.ensure_unpacked(wanted, into=place.packages, archive=archive):
        reporter.note(f"engine packages of {newer} unpacked under {place.packages}")
    debian.ensure_installed(_PROGRAMS, reporter)
    known = process.run(("ldconfig", "-p"), env={"PATH": debian.SYSTEM_PATH}).stdout
    missing = tuple(package for library, package in _LIBRARIES if library not in known)
    if missing:
        debian.install(missing, reporter)


def _clear(place: Place) -> None:
    """End what runs, daemon first so that it ends its containers in order; then what a killed daemon left."""
    pid = _daemon(place)
    if pid:
        processes.end((pid,), patience_s=_STOP_S)
    processes.end(processes.belonging_to(place.run, place.data), patience_s=5.0)
    processes.unmount(place.run, place.data)
    if all(shutil.which(program, path=debian.SYSTEM_PATH) for program in ("ip", "iptables")):
        network.bring_down(place.bridge)
    store.discard(place.run)


def _mount_cgroups(reporter: Reporter) -> None:
    """Mount the cgroup tree where no init system did; without it no container starts."""
    tree = Path("/sys/fs/cgroup")
    if tree.is_dir() and not any(tree.iterdir()):
        process.run(("mount", "-t", "cgroup2", "cgroup2", str(tree)))
        reporter.note(f"mounted the cgroup tree on {tree}")


def _launch(place: Place, settings: Settings) -> None:
    seed = int(place.bridge.rpartition("-")[2], 16)
    bridge = network.bring_up(place.bridge, seed)
    place.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    _link_plugins(place)
    _link_credentials(place, settings)
    file = place.folder / "daemon.json"
    store.write_text(file, json.dumps(_configuration(place, bridge), indent=2) + "\n")
    store.discard(place.log)
    environment = {
        "PATH": f"{dict(handle_of(place, settings).environment)['PATH']}:{debian.SYSTEM_PATH}",
        # BuildKit clips a step's log at 2 MiB; build.log promises all of it.
        "BUILDKIT_STEP_LOG_MAX_SIZE": "-1",
        "BUILDKIT_STEP_LOG_MAX_SPEED": "-1",
    }
    process.spawn(
        (str(place.packages / "usr/sbin/dockerd"), "--config-file", str(file)), log=place.log, env=environment
    )
    _await_pidfile(place)


def _await_pidfile(place: Place) -> None:
    for _ in range(100):
        if processes.pid_in(place.pidfile):
            return
        time.sleep(0.05)


def _configuration(place: Place, bridge: network.Bridge) -> dict[str, object]:
    return {
        "hosts": [f"unix://{place.socket}"],
        "pidfile": str(place.pidfile),
        "data-root": str(place.data),
        "exec-root": str(place.run / "exec"),
        # `cdi`: a host that describes its GPU in /etc/cdi or /var/run/cdi can have it in containers.
        "features": {"containerd-snapshotter": True, "cdi": True},
        "bridge": bridge.name,
        "mtu": bridge.mtu,
        "iptables": False,
        "ip6tables": False,
        "userland-proxy": False,
        "shutdown-timeout": 5,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "1"},
        # dockerd's default policy drops cache mounts (ccache) that nobody has used for two days; docs/builders.md.
        "builder": {"gc": {"enabled": True, "policy": [{"keepStorage": "40GB", "all": True}]}},
    }


def _link_plugins(place: Place) -> None:
    plugin = place.docker_config / "cli-plugins" / "docker-buildx"
    store.discard(plugin)
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.symlink_to(place.packages / "usr/libexec/docker/cli-plugins/docker-buildx")


def _link_credentials(place: Place, settings: Settings) -> None:
    """Let the engine's client see the user's registry credentials: a link, so that nothing is copied."""
    link = place.docker_config / "config.json"
    store.discard(link)
    source = settings.docker_config / "config.json"
    if source.is_file():
        link.symlink_to(source)


def _did_not_start(place: Place) -> Unavailable:
    lines = place.log.read_text(errors="replace").splitlines() if place.log.exists() else []
    tail = "\n".join(lines[-15:])
    message = f"the private engine did not start:\n{tail}"
    return Unavailable(message, hint=f"the whole log is {place.log}")
