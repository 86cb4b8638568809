import pytest

from build.follow.survey import Option, Survey, is_cmake, is_licence, is_parser, survey


def look(**texts: str) -> Survey:
    """`root`, `sub` and the like stand for CMakeLists.txt of the folder."""
    files = {
        "CMakeLists.txt" if name == "root" else f"{name}/CMakeLists.txt": text for name, text in texts.items()
    }
    return survey(tuple(files), files)


def test_options_are_read_and_not_run() -> None:
    found = look(
        root="""
        project(x)
        # option(X_COMMENTED "no" ON)
        option(X_CUDA "use #CUDA" OFF)
        option( X_NATIVE
            "two
             lines" ON )
        option(X_SHORT "no default")
        set(X_JOBS 12 CACHE STRING "jobs")
        set(X_URL "https://x.invalid/a#b" CACHE STRING "where")
        set(X_PLAIN 12)
        if (NOT DEFINED X_BUILD_NUMBER)
        if (NOT DEFINED X_SOMETHING)
        option(X_CUDA "again" ON)
        option(X_HIP_NO_VMM "another GPU" OFF)
        """
    )
    assert found.options == (
        Option(name="X_CUDA", help="use #CUDA", default="OFF"),
        Option(name="X_NATIVE", help="two lines", default="ON"),
        Option(name="X_SHORT", help="no default", default="OFF"),
        Option(name="X_JOBS", help="jobs", default="12"),
        Option(name="X_URL", help="where", default="https://x.invalid/a#b"),
        Option(name="X_BUILD_NUMBER", help="", default=""),
    )


def test_projects_that_the_root_does_not_add() -> None:
    found = look(
        root='project(x)\nadd_subdirectory(lib)\nadd_subdirectory("${THERE}")\nadd_subdirectory(./round)',
        lib="project(lib)\nadd_subdirectory(../sub)",
        sub='project(sub)\noption(SUB_SEEN "yes")',
        tools='project(tools)\noption(TOOLS_NOT_SEEN "no")',
        plain="add_library(plain)",
        round="add_subdirectory(..)\nadd_subdirectory(.)",
        **{"tests": "project(tests)", "vendor/zlib": "project(zlib)", "ggml/src/ggml-sycl": "project(sycl)"},
    )
    assert found.projects == ("tools",)
    assert [option.name for option in found.options] == ["SUB_SEEN"]


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("add_executable(mini-server main.cpp)", ("mini-server",)),
        ("set(TARGET llama-server-impl)\nset(TARGET llama-server)\nadd_executable(${TARGET} s.cpp)", ("llama-server",)),
        ("add_executable(rpc-server x)\nadd_executable(llama-server y)\nadd_executable(server z)",
         ("llama-server", "rpc-server", "server")),
        ("add_executable(${NAME} x)\nadd_executable(test-server y)\nadd_executable(cli z)", ()),
    ],
)  # fmt: skip
def test_servers(text: str, servers: tuple[str, ...]) -> None:
    assert look(root=text).servers == servers


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("target_link_libraries(x PRIVATE CUDA::cuda_driver)", True),
        ('set(CMAKE_EXE_LINKER_FLAGS "-lcuda")', True),
        ("target_link_libraries(x PRIVATE CUDA::cudart) # CUDA::cuda_driver", False),
    ],
)
def test_the_driver(text: str, *, links: bool) -> None:
    assert look(root="", gpu=text).links_driver is links


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("MIT License\n\nPermission is hereby granted, free\nof charge, to any", "MIT"),
        ("Apache License\nVersion 2.0", "Apache-2.0"),
        ("All rights reserved", ""),
    ],
)
def test_licence(text: str, licence: str) -> None:
    assert survey(("LICENSE",), {"LICENSE": text}).licence == licence


def test_layout_of_llama_cpp() -> None:
    paths = ("CMakeLists.txt", "ggml/CMakeLists.txt", "common/arg.cpp")
    found = survey(paths, {"CMakeLists.txt": "", "common/arg.cpp": '.set_env("LLAMA_ARG_HOST")'})
    assert found.is_llama
    assert found.host_variable == "LLAMA_ARG_HOST"
    assert not survey(("CMakeLists.txt",), {}).is_llama


def test_nothing_at_all() -> None:
    found = survey((), {})
    assert not found.has_project
    assert (found.options, found.projects, found.servers, found.host_variable) == ((), (), (), "")


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("CMakeLists.txt", "cmake"),
        ("a/b/CMakeLists.txt", "cmake"),
        ("cmake/x.cmake", "cmake"),
        ("a/MyCMakeLists.txt", ""),
        ("LICENSE", "licence"),
        ("LICENCE.md", "licence"),
        ("vendor/LICENSE", ""),
        ("common/arg.cpp", "parser"),
        ("args.cpp", "parser"),
        ("target.cpp", ""),
    ],
)
def test_files_that_are_read(path: str, kinds: str) -> None:
    found = [
        kind
        for kind, test in (("cmake", is_cmake), ("licence", is_licence), ("parser", is_parser))
        if test(path)
    ]
    assert found == kinds.split()
