"""Forks that download while they are configured or built, for real: each is refused at configure, in words that mend it."""

import re
from pathlib import Path

import pytest

from build.doors.buildx import Buildx
from build.doors.effects import EngineHandle
from build.host import registry
from build.settings import Settings
from tests.integration.conftest import Checkout, make_checkout

pytestmark = pytest.mark.engine

FORK = "samples/minifork/CMakeLists.txt"
RECIPE = "recipes/minifork.yaml"
TRAPS = """
option(FORK_GIT "a library by FetchContent, from git" OFF)
option(FORK_ARCHIVE "a library by FetchContent, from an archive" OFF)
option(FORK_ASSETS "assets, whose download nobody checks" OFF)
option(FORK_STALE "assets that are there already, and are others" OFF)
option(FORK_CURL "assets by curl" OFF)
option(FORK_TOKENIZER "a library that the build downloads" OFF)
option(FORK_GRAMMAR "a library that the build clones" OFF)
include(FetchContent)
include(ExternalProject)
FetchContent_Declare(from_git GIT_REPOSITORY https://code.minifork.invalid/from-git.git GIT_TAG v1)
if(FORK_GIT)
    FetchContent_MakeAvailable(from_git)
endif()
if(FORK_ARCHIVE)
    FetchContent_Declare(from_archive URL https://code.minifork.invalid/from-archive.tar.gz)
    FetchContent_MakeAvailable(from_archive)
endif()
if(FORK_ASSETS)
    file(DOWNLOAD https://assets.minifork.invalid/a.bin ${CMAKE_BINARY_DIR}/a.bin)
endif()
# There already, as they are asked for.
file(WRITE ${CMAKE_BINARY_DIR}/kept "kept")
file(DOWNLOAD https://assets.minifork.invalid/kept ${CMAKE_BINARY_DIR}/kept EXPECTED_MD5 4d8b6084f3d167b76cac66a22a91be02)
file(DOWNLOAD https://assets.minifork.invalid/kept ${CMAKE_BINARY_DIR}/kept SHOW_PROGRESS
    EXPECTED_HASH SHA256=79F076ABDD19A752DB7267BFFF2F9022161D120DEA919FDACA2FFDFC24CA8C96)
if(FORK_STALE)
    file(WRITE ${CMAKE_BINARY_DIR}/stale "stale")
    file(DOWNLOAD https://assets.minifork.invalid/stale ${CMAKE_BINARY_DIR}/stale STATUS stale
        EXPECTED_HASH SHA256=79f076abdd19a752db7267bfff2f9022161d120dea919fdaca2ffdfc24ca8c96)
endif()
if(FORK_CURL)
    execute_process(COMMAND sh -c "curl -fsS https://assets.minifork.invalid/b.bin > b.bin" ERROR_QUIET)
endif()
if(FORK_TOKENIZER)
    ExternalProject_Add(tokenizer URL https://code.minifork.invalid/tokenizer.zip)
endif()
if(FORK_GRAMMAR)
    ExternalProject_Add(grammar GIT_REPOSITORY https://code.minifork.invalid/grammar.git)
endif()
"""


@pytest.fixture(scope="module")
def fork(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: registry.RegistryServer,
) -> Checkout:
    made = make_checkout(tmp_path_factory.mktemp("fork") / "fork", settings, engine, loopback)
    path = made.root / FORK
    path.write_text(path.read_text() + TRAPS)
    made.repin()
    return made


def line(checkout: Checkout, words: str) -> int:
    """Find the line of the fork's CMakeLists.txt that begins with these words."""
    (found,) = [
        number
        for number, text in enumerate((checkout.root / FORK).read_text().splitlines(), 1)
        if text.strip().startswith(words)
    ]
    return found


def refused(checkout: Checkout, *options: str) -> str:
    """Build with options on; return what was said of the network, in order."""
    on = "".join(f'  {name}: "ON"\n' for name in options)
    checkout.edit(RECIPE, '  MINI_CUDA: "ON"\n', f'  MINI_CUDA: "ON"\n{on}')
    ran = checkout.run("image", "minifork", timeout_s=300)
    checkout.edit(RECIPE, on, "")
    assert ran.code == 1, ran.err
    assert not (checkout.out / "minifork" / "image.json").exists()
    found = [
        text
        for text in ran.err.splitlines()
        if re.match("error: (configure|the build) asks the network", text)
    ]
    assert f"stage configure: {found[0].removeprefix('error: ')}" in ran.err, "what is wrong is said first"
    return "\n".join(found)


def finding(when: str, address: str, where: str, option: str) -> str:
    return (
        f"error: {when} asks the network for {address} ({where}); turn it off: -D{option}=OFF "
        "(the option that guards it)"
    )


def test_every_download_is_named_with_its_line_and_its_option(fork: Checkout) -> None:
    """Those that nobody checks let cmake succeed; a project of the build is found before the build."""
    said = refused(fork, "FORK_ASSETS", "FORK_CURL", "FORK_TOKENIZER").splitlines()
    here = f"CMakeLists.txt:{line(fork, 'file(DOWNLOAD https://assets.minifork.invalid/a.bin')}"
    curl = f"CMakeLists.txt:{line(fork, 'execute_process(COMMAND sh')}"
    added = f"CMakeLists.txt:{line(fork, 'ExternalProject_Add(tokenizer')}"
    assert said == [
        finding("configure", "https://assets.minifork.invalid/a.bin", f"{here}, file(DOWNLOAD)", "FORK_ASSETS"),
        finding(
            "configure", "https://assets.minifork.invalid/b.bin", f"{curl}, execute_process(curl)", "FORK_CURL"
        ),
        finding(
            "the build",
            "https://code.minifork.invalid/tokenizer.zip",
            f"{added}, ExternalProject_Add(tokenizer)",
            "FORK_TOKENIZER",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "address", "declared"),
    [
        ("FORK_GIT", "https://code.minifork.invalid/from-git.git", "FetchContent_Declare(from_git"),
        ("FORK_ARCHIVE", "https://code.minifork.invalid/from-archive.tar.gz", "FetchContent_Declare(from_archive"),
        ("FORK_GRAMMAR", "https://code.minifork.invalid/grammar.git", "ExternalProject_Add(grammar"),
    ],
)  # fmt: skip
def test_what_stops_cmake_is_named_the_same_way(
    fork: Checkout, option: str, address: str, declared: str
) -> None:
    where = f"CMakeLists.txt:{line(fork, declared)}, {declared})"
    assert refused(fork, option) == finding("configure", address, where, option)


def test_a_file_that_is_there_with_other_bytes_is_downloaded(fork: Checkout) -> None:
    stale = "https://assets.minifork.invalid/stale"
    where = f"CMakeLists.txt:{line(fork, f'file(DOWNLOAD {stale}')}, file(DOWNLOAD)"
    assert refused(fork, "FORK_STALE") == finding("configure", stale, where, "FORK_STALE")


def test_the_samples_own_checked_download(fork: Checkout) -> None:
    off, on = 'MINI_BUILD_WEBUI: "OFF"', 'MINI_BUILD_WEBUI: "ON"'
    fork.edit(RECIPE, off, on)
    ran = fork.run("image", "minifork", timeout_s=300)
    fork.edit(RECIPE, on, off)
    assert ran.code == 1
    address = "https://assets.minifork.invalid/webui-1/index.html"
    said = finding("configure", address, "cmake/download.cmake:4, file(DOWNLOAD)", "MINI_BUILD_WEBUI")
    assert said in ran.err


def test_the_same_fork_without_them_is_configured(
    fork: Checkout, engine: EngineHandle, tmp_path: Path
) -> None:
    assert fork.run("resolve", "minifork").code == 0
    assert fork.run("render", "minifork").code == 0
    log = tmp_path / "log"
    Buildx(engine).bake(
        fork.out / "minifork" / "docker-bake.json",
        ("minifork",),
        cwd=fork.root,
        log=log,
        on_event=lambda _event: None,
        options=("--set", "minifork.target=configure", "--set", "minifork.output=type=cacheonly"),
    )
    assert "asks the network" not in log.read_text()
    assert "CUDA sources" in log.read_text()
