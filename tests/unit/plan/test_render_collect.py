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
    root = tmp_path_factory.mktemp("collect")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root, collect(root)


def collect(root: Path) -> str:
    """Run the script with /src, /build, /install, /collect and CUDA's folder in a folder of the test's own."""
    configure: list[str | Path] = ["cmake", "-S", root / "src", "-B", root / "build"]
    make = ["-G", "Unix Makefiles", "-DCMAKE_MAKE_PROGRAM=/bin/true"]
    subprocess.run([*configure, *make], check=True, capture_output=True, timeout=60)
    (root / "tmp").mkdir()
    text = (TEMPLATES / "scripts" / "collect.sh").read_text(encoding="utf-8")
    script = root / "collect.sh"
    places = r'(^|(?<=[ "=]))/(src|install|collect|tmp|usr/local/cuda)(?=[/" \n]|$)'
    script.write_text(re.sub(places, rf"{root}/\2", text, flags=re.MULTILINE))
    run = subprocess.run(
        ["/bin/sh", script, root / "build"], check=False, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


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


def shared_object(path: Path, *needed: Path, code: str = "") -> Path:
    """Link a library of a few bytes that needs others; its soname is its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ("gcc", "-shared", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{path.name}", "-x", "c", "-")
    subprocess.run((*argv, "-o", path, "-x", "none", *needed), input=code, text=True, check=True)
    return path


def project(root: Path, *needs: str) -> Path:
    """Make CUDA's folder and a project whose server needs some of it, and the kernels that its backend has."""
    lib = root / "usr/local/cuda/lib64"
    lt = shared_object(lib / "libcublasLt.so.13", code='char lt[] = "big";')
    cuda = {
        "libcudart.so.13": shared_object(lib / "libcudart.so.13"),
        "libcublas.so.13": shared_object(lib / "libcublas.so.13", lt),
    }
    shared_object(lib / "libnpp.so.13")
    (root / "usr/local/cuda/licenses").mkdir()
    (root / "usr/local/cuda/licenses/EULA.txt").write_text("NVIDIA's")
    (root / "src").mkdir()
    (root / "src/CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(p LANGUAGES NONE)\n"
        "install(PROGRAMS ${CMAKE_BINARY_DIR}/server ${CMAKE_BINARY_DIR}/libbackend.so DESTINATION bin)\n"
    )
    code = f'char kernels[] __attribute__((section(".nv_fatbin"))) = "of {root.name}";'
    backend = shared_object(root / "build/libbackend.so", *(cuda[name] for name in needs), code=code)
    shared_object(root / "build/server", backend)
    collect(root)
    return root / "collect"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_cublas_is_only_where_it_is_needed_and_then_in_a_layer_that_all_share(tmp_path: Path) -> None:
    one = project(tmp_path / "one", "libcudart.so.13", "libcublas.so.13")
    other = project(tmp_path / "other", "libcublas.so.13", "libcudart.so.13")
    without = project(tmp_path / "without", "libcudart.so.13")
    licence = "licenses/nvidia/EULA.txt"
    assert below(one / "cuda") == {"libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13", licence}
    assert below(without / "cuda") == {"libcudart.so.13", licence}
    assert below(one / "kernels") == {"libbackend.so"}

    def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
        return {
            name: ((folder / name).stat().st_mode, (folder / name).read_bytes()) for name in below(folder)
        }

    assert contents(one / "cuda") == contents(other / "cuda"), "equal content is one layer"
    assert contents(one / "kernels") != contents(other / "kernels"), "and the projects differ"
