"""The wrapper with a stand-in for Python: what it does when, not what pip does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
case "$*" in
    *"-m venv "*)
        for last; do :; done
        mkdir -p "$last/bin" && cp "$0" "$last/bin/python"; echo venv >>"$LOG" ;;
    *"-m pip "*) echo pip >>"$LOG"; sleep "${SLOW:-0}"; exit "${PIP_STATUS:-0}" ;;
    *"-m nox "*) echo "$@"; pwd ;;
    *"import ensurepip.__main__"*) [ -z "${LACKS-}" ] || [ -e "$LACKS" ] ;;
    *'find_spec("ensurepip.__main__")'*) [ -z "${LACKS-}" ] && exec "REAL" "$@" || exit 1 ;;
    *) exec "REAL" "$@" ;;
esac
"""


class Wrapper:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.root.mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "noxw", self.root)
        (self.root / "requirements.txt").write_text("nox==1\n")
        self.program("python3", PYTHON.replace("REAL", sys.executable))
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin", "LOG": str(self.log), "HOME": "/nonexistent"}

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def start(self, *args: str, cwd: Path | str = "/", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "noxw"), *args], cwd=cwd, env={**self.env, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *args: str, cwd: Path | str = "/", **env: str) -> tuple[int, str, str]:
        with self.start(*args, cwd=cwd, **env) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def done(self) -> list[str]:
        words = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return words


@pytest.fixture
def wrapper(tmp_path: Path) -> Wrapper:
    return Wrapper(tmp_path)


def test_the_first_run_makes_a_venv_and_says_so_the_second_uses_it(wrapper: Wrapper, tmp_path: Path) -> None:
    status, out, err = wrapper.run("-s", "a b", cwd=tmp_path)
    assert status == 0
    assert out == f"-m nox --noxfile {wrapper.root}/noxfile.py -s a b\n{tmp_path}\n"
    version = ".".join(map(str, sys.version_info[:3]))
    assert err == (
        f"noxw: installing what requirements.txt locks into {wrapper.root}/.venv (Python {version})\n"
    )
    assert wrapper.done() == ["venv", "pip"]
    status, again, err = wrapper.run("-s", "a b", cwd=tmp_path)
    assert (status, again, err) == (0, out, "")
    assert wrapper.done() == []


def test_a_link_to_it_works(wrapper: Wrapper, tmp_path: Path) -> None:
    (tmp_path / "bin" / "noxw").symlink_to(Path("..") / "a checkout" / "noxw")
    done = subprocess.run(
        [str(tmp_path / "bin" / "noxw")], env=wrapper.env, capture_output=True, text=True, check=True
    )
    assert f"--noxfile {wrapper.root}/noxfile.py" in done.stdout


@pytest.mark.parametrize("damage", ["lock changed", "no stamp", "python broken", "python gone", "moved"])
def test_a_venv_that_does_not_fit_is_made_anew(wrapper: Wrapper, damage: str) -> None:
    assert wrapper.run()[0] == 0
    wrapper.done()
    match damage:
        case "lock changed":
            (wrapper.root / "requirements.txt").write_text("nox==2\n")
        case "no stamp":
            (wrapper.root / ".venv" / "stamp").unlink()
        case "python broken":
            (wrapper.root / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
        case "python gone":
            (wrapper.root / ".venv" / "bin" / "python").unlink()
        case _:
            wrapper.root = wrapper.root.rename(wrapper.root.with_name("moved"))
    assert wrapper.run()[0] == 0
    assert wrapper.done() == ["venv", "pip"]


def test_killed_half_way_the_next_run_begins_again(wrapper: Wrapper) -> None:
    with wrapper.start(SLOW="30") as process:
        until = time.monotonic() + 20
        while not (wrapper.log.exists() and "pip" in wrapper.log.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert wrapper.done() == ["venv", "pip"]
    assert wrapper.run()[0] == 0
    assert wrapper.done() == ["venv", "pip"]


def test_two_at_once_make_one_venv(wrapper: Wrapper) -> None:
    with wrapper.start(SLOW="0.5") as one, wrapper.start(SLOW="0.5") as two:
        assert one.communicate(timeout=60)[0] == two.communicate(timeout=60)[0]
        assert (one.returncode, two.returncode) == (0, 0)
    assert wrapper.done() == ["venv", "pip"]


def test_a_failed_installation_is_said_and_not_kept(wrapper: Wrapper) -> None:
    status, out, err = wrapper.run(PIP_STATUS="1")
    assert (status, out) == (4, "")
    assert err.splitlines()[1:] == [
        "noxw: requirements.txt was not installed",
        "hint: see that a Python package index can be reached (pip config list)",
    ]
    wrapper.done()
    assert wrapper.run()[0] == 0
    assert wrapper.done() == ["venv", "pip"]


def test_without_a_python_it_says_which_is_needed(wrapper: Wrapper) -> None:
    wrapper.program("python3", "#!/bin/sh\nexit 1\n")
    for name in ("python3.11", "python3.12", "python3.13", "python3.14", "python"):
        wrapper.program(name, "#!/bin/sh\nexit 1\n")
    assert wrapper.run() == (
        4, "", "noxw: there is no Python of 3.11 or newer\nhint: apt-get install python3, or brew install python\n",
    )  # fmt: skip


def lacks_ensurepip(wrapper: Wrapper, user: int) -> str:
    for name in ("python3.11", "python3.12", "python3.13", "python3.14", "python"):
        wrapper.program(name, "#!/bin/sh\nexit 1\n")
    wrapper.program("id", f"#!/bin/sh\necho {user}\n")
    wrapper.program(
        "apt-get",
        '#!/bin/sh\necho "apt:$*" | tr " " "_" >>"$LOG"; case "$*" in *install*) : >"$LACKS" ;; esac\n',
    )
    return "python{}.{}-venv".format(*sys.version_info)


def test_root_gets_the_missing_package_installed(wrapper: Wrapper, tmp_path: Path) -> None:
    package = lacks_ensurepip(wrapper, 0)
    status, _, err = wrapper.run(LACKS=str(tmp_path / "installed"))
    assert status == 0
    assert err.startswith(f"noxw: installing {package} with apt-get\n")
    install = f"apt:-qq_install_--yes_--no-install-recommends_{package}"
    assert wrapper.done() == ["apt:-qq_update", install, "venv", "pip"]


def test_others_are_told_the_command(wrapper: Wrapper, tmp_path: Path) -> None:
    package = lacks_ensurepip(wrapper, 1000)
    status, out, err = wrapper.run(LACKS=str(tmp_path / "installed"))
    assert (status, out) == (4, "")
    assert err == f"noxw: {wrapper.bin}/python3 has no ensurepip\nhint: sudo apt-get install {package}\n"
    assert wrapper.done() == []
