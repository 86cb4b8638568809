"""collect.sh over a CMake project of which not everything was built. Nothing is compiled: cmake alone is asked."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.plan.plans import TEMPLATES

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake"),
]

PROJECT = r"""
cmake_minimum_required(VERSION 3.18)
project(p LANGUAGES NONE)
install(PROGRAMS ${CMAKE_BINARY_DIR}/server ${CMAKE_BINARY_DIR}/other DESTINATION bin)
install(FILES ${CMAKE_BINARY_DIR}/asked.txt DESTINATION share)
install(FILES ${CMAKE_BINARY_DIR}/fine.txt OPTIONAL DESTINATION share)
install(DIRECTORY headers/ DESTINATION include FILES_MATCHING PATTERN "*.h")
install(CODE "file(WRITE \"\${CMAKE_INSTALL_PREFIX}/code.txt\" \"a;b\\n\")")
add_subdirectory(sub)
"""
FILES = {
    "src/CMakeLists.txt": PROJECT,
    "src/sub/CMakeLists.txt": "install(PROGRAMS ${CMAKE_BINARY_DIR}/never DESTINATION bin)\n",
    "src/headers/a.h": "",
    "src/headers/a.c": "",
    "src/LICENSE": "project",
    "src/licenses/LICENSE-jsonhpp": "json",
    "src/licenses/deep/MIT": "mit",
    "build/server": "#!/bin/sh\n",
}


@pytest.fixture(name="place", scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the script with /src, /build, /install and /collect in a folder of the test's own."""
    root = tmp_path_factory.mktemp("collect")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    configure: list[str | Path] = ["cmake", "-S", root / "src", "-B", root / "build"]
    make = ["-G", "Unix Makefiles", "-DCMAKE_MAKE_PROGRAM=/bin/true"]
    subprocess.run([*configure, *make], check=True, capture_output=True, timeout=60)
    (root / "tmp").mkdir()
    text = (TEMPLATES / "scripts" / "collect.sh").read_text(encoding="utf-8")
    script = root / "collect.sh"
    places = r'(^|(?<=[ "]))/(src|install|collect|tmp)(?=[/" \n]|$)'
    script.write_text(re.sub(places, rf"{root}/\2", text, flags=re.MULTILINE))
    run = subprocess.run(
        ["/bin/sh", script, root / "build"], check=False, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return root, run.stdout


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_was_built_is_installed_also_beside_what_was_not(place: tuple[Path, str]) -> None:
    assert below(place[0] / "install") == {"bin/server", "include/a.h", "code.txt"}


def test_code_of_the_project_is_left_as_it_is(place: tuple[Path, str]) -> None:
    assert (place[0] / "install" / "code.txt").read_text() == "a;b\n"


def test_every_file_that_is_passed_over_is_named(place: tuple[Path, str]) -> None:
    root, log = place
    named = re.findall(r"^collect: not built, not installed: (.*)$", log, re.MULTILINE)
    assert named == [f"{root}/build/{name}" for name in ("asked.txt", "fine.txt", "never", "other")]


def test_licences_of_what_the_project_contains_are_kept(place: tuple[Path, str]) -> None:
    licences = place[0] / "collect" / "server" / "licenses"
    assert {path.name: path.read_text() for path in licences.iterdir()} == {
        "LICENSE": "project",
        "licenses-LICENSE-jsonhpp": "json",
        "licenses-deep-MIT": "mit",
    }
