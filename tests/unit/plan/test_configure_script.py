"""What configure.pl reads out of cmake's trace: the script itself is run, on a cmake and a ninja that say what a test wants."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

SCRIPT = Path(__file__).parents[3] / "dockerfiles" / "scripts" / "configure.pl"
URL = "https://assets.example.invalid/a.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A source folder and what cmake would print while it is configured."""

    root: Path
    lines: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    """What ninja says the targets need."""

    def write(self, name: str, text: str) -> None:
        path = self.root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def runs(self, file: str, line: int, command: str, *args: str, frame: int = 1) -> None:
        """Trace one command, as cmake 3.25 writes it."""
        path = file if file.startswith("/") else str(self.root / "src" / file)
        entry = {
            "args": args, "cmd": command, "file": path, "frame": frame, "global_frame": frame, "line": line, "time": 1.5,
        }  # fmt: skip
        self.lines.append(json.dumps(entry, separators=(",", ":")))

    def configure(self, *targets: str, options: tuple[str, ...] = (), status: int = 0) -> tuple[int, str]:
        programs = self.root / "programs"
        programs.mkdir(exist_ok=True)
        for name, said, code in (("cmake", self.lines, status), ("ninja", self.steps, 0)):
            (self.root / name).write_text("\n".join(said) + "\n")
            stream = ">&2" if name == "cmake" else ""
            (programs / name).write_text(f"#!/bin/sh\ncat {self.root / name} {stream}\nexit {code}\n")
            (programs / name).chmod(0o755)
        source = str(self.root / "src")
        words = ("cmake", *options, "-S", source, "-B", str(self.root / "build"))
        ran = subprocess.run(
            ("perl", str(SCRIPT), str(self.root / "log"), *targets, "--", *words),
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert ran.stderr == ""
        return ran.returncode, ran.stdout

    def asked(self, *targets: str, options: tuple[str, ...] = (), status: int = 0) -> list[str]:
        """Return the findings; there are some exactly when the script fails."""
        code, said = self.configure(*targets, options=options, status=status)
        found = [line for line in said.splitlines() if line.startswith("error: ")]
        assert code == (1 if found or status else 0), said
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "src").mkdir()
    return Project(root=tmp_path)


def downloading(project: Project, text: str, *options: str) -> str:
    """Configure a project whose line that says HERE downloads, and return the finding after its address."""
    project.write("CMakeLists.txt", text)
    for number, name in enumerate(options, 1):
        project.runs("options.cmake", number, "option", name, "a doc", "ON")
    here = next(number for number, line in enumerate(text.splitlines(), 1) if "HERE" in line)
    project.runs("CMakeLists.txt", here, "file", "DOWNLOAD", URL, "/build/a.zip")
    (said,) = project.asked()
    start = f"error: configure asks the network for {URL} (CMakeLists.txt:{here}, file(DOWNLOAD)); "
    assert said.startswith(start)
    return said.removeprefix(start)


@pytest.mark.parametrize(
    ("text", "turns_off"),
    [
        ("if(WITH_A)\n  HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(NOT SYSTEM_A)\n  HERE()\nendif()", "-DSYSTEM_A=ON"),
        ("if(SYSTEM_A)\n  x()\nelse()\n  HERE()\nendif()", "-DSYSTEM_A=ON"),
        ("if(SYSTEM_A)\nelseif(WITH_A)\n  HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(SYSTEM_A)\nelseif(UNIX)\n  HERE()\nendif()", "-DSYSTEM_A=ON"),
        ("if(SYSTEM_A)\nelseif(WITH_A)\nelse()\n  HERE()\nendif()", "-DWITH_A=ON"),
        ("if(UNIX AND WITH_A)\n  HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(WITH_A OR WITH_B)\n  HERE()\nendif()", "-DWITH_A=OFF -DWITH_B=OFF"),
        ("if(NOT (SYSTEM_A AND WITH_B))\n  HERE()\nendif()", "-DSYSTEM_A=ON -DWITH_B=ON"),
        ("if((UNIX OR APPLE) AND (WITH_A))\n  HERE()\nendif()", "-DWITH_A=OFF"),
        ('if("${WITH_A}")\n  HERE()\nendif()', "-DWITH_A=OFF"),
        ("IF ( ${WITH_A} ) # if(WITH_B)\n  HERE()\nENDIF ( WITH_A )", "-DWITH_A=OFF"),
        ("if(WITH_A)\n if(UNIX)\n  x()\n endif()\n HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(WITH_B)\nendif()\nif(WITH_A)\n  HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(WITH_A)\n if(WITH_B)\n HERE()\n endif()\nendif()", "-DWITH_B=OFF"),
        ('if(WITH_A)\n message("\nif(WITH_B)\n")\n #[[\nif(WITH_B)\n]]\n x([=[ endif() ]=])\n HERE()\nendif()', "-DWITH_A=OFF"),
        ("if(NOT WITH_A)\n  return()\nendif()\nHERE()", "-DWITH_A=OFF"),
        ("if(WITH_A)\n  x()\nelse()\n  return()\nendif()\nif(UNIX)\n HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(WITH_B)\nelseif(SYSTEM_A)\n  return()\nendif()\nHERE()", "-DSYSTEM_A=ON -DWITH_B=OFF"),
        ("if(NOT UNIX)\n if(SYSTEM_A)\n  return()\n endif()\n HERE()\nendif()", "-DSYSTEM_A=ON"),
        ("if(NOT WITH_A)\n if(NOT WITH_B)\n  return()\n endif()\nendif()\nHERE()", "-DWITH_A=OFF -DWITH_B=OFF"),
        ("function(f)\n if(NOT WITH_A)\n  return()\n endif()\n HERE()\nendfunction()", "-DWITH_A=OFF"),
        ("if(NOT WITH_B)\n return()\nendif()\nif(WITH_A)\n HERE()\nendif()", "-DWITH_A=OFF"),
        ("if(\n  WITH_A\n  AND NOT SYSTEM_A\n)\n  HERE()\nendif()", "-DWITH_A=OFF"),
    ],
)  # fmt: skip
def test_the_option_that_guards_the_line(project: Project, text: str, turns_off: str) -> None:
    said = downloading(project, text, "WITH_A", "WITH_B", "SYSTEM_A")
    assert said == f"turn it off: {turns_off} (the option that guards it)"


@pytest.mark.parametrize(
    "text",
    [
        "HERE()",
        "if(UNIX)\n  HERE()\nendif()",
        "if(UNIX OR WITH_B)\n HERE()\nendif()\nif(WITH_A)\nendif()",
        "if(WITH_UNKNOWN)\n HERE()\nendif()",
        "if(UNIX)\n  return()\nendif()\nHERE()",
        "function(f)\n if(NOT WITH_A)\n  return()\n endif()\nendfunction()\nHERE()",
        "if(UNIX)\n if(NOT WITH_A)\n  return()\n endif()\nelse()\n HERE()\nendif()",
        "if(UNIX)\nelseif(WITH_A)\n  return()\nendif()\nHERE()",
        "HERE()\nif(NOT WITH_A)\n  return()\nendif()",
    ],
)
def test_no_option_is_invented(project: Project, text: str) -> None:
    said = downloading(project, text, "WITH_A")
    assert said == "no option of the project turns it off; take it out with a patch"


def test_an_option_that_takes_no_on_or_off_is_named_with_its_condition(project: Project) -> None:
    said = downloading(project, 'if(A_FROM STREQUAL "net")\n HERE()\nendif()', "A_FROM")
    assert said == (
        'no option of the project turns it off; it depends on A_FROM: if(A_FROM STREQUAL "net"), CMakeLists.txt:1; '
        "take it out with a patch"
    )


def test_what_only_the_recipe_sets_is_an_option_too(project: Project) -> None:
    project.write("CMakeLists.txt", "if(NEVER_DECLARED)\n  x()\nendif()\n")
    project.runs("CMakeLists.txt", 2, "file", "DOWNLOAD", URL, "/build/a")
    (said,) = project.asked(options=("-DNEVER_DECLARED=ON",))
    assert "turn it off: -DNEVER_DECLARED=OFF" in said


def test_the_guard_is_looked_for_along_the_calls(project: Project) -> None:
    project.write(
        "cmake/get.cmake",
        "function(get url)\n  if(NOT EXISTS x)\n    file(DOWNLOAD)\n  endif()\nendfunction()\n",
    )
    project.write("lib/CMakeLists.txt", "get(x)\n")
    project.write("CMakeLists.txt", "if(WITH_LIB)\n  add_subdirectory(lib)\nendif()\n")
    project.runs("CMakeLists.txt", 1, "set", "WITH_LIB", "ON", "CACHE", "BOOL", "a doc")
    project.runs("CMakeLists.txt", 2, "add_subdirectory", "lib")
    project.runs("lib/CMakeLists.txt", 1, "get", "x", frame=2)
    project.runs("cmake/get.cmake", 3, "file", "DOWNLOAD", URL, "/build/a", frame=3)
    project.runs("cmake/get.cmake", 3, "file", "DOWNLOAD", URL, "/build/a", frame=3)
    assert project.asked() == [
        (
            f"error: configure asks the network for {URL} (cmake/get.cmake:3, file(DOWNLOAD)); "
            "turn it off: -DWITH_LIB=OFF (the option that guards it)"
        )
    ]


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (("curl", "-fsSL", URL), f"{URL} (CMakeLists.txt:1, execute_process(curl))"),
        (("/usr/bin/wget", "-q", URL), f"{URL} (CMakeLists.txt:1, execute_process(wget))"),
        (("sh", "-c", f"cd x && curl '{URL}' | tar x"), f"{URL} (CMakeLists.txt:1, execute_process(curl))"),
        (
            ("git", "-C", "x", "clone", "--depth=1", URL),
            f"{URL} (CMakeLists.txt:1, execute_process(git clone))",
        ),
        (("git", "clone", "git@example.invalid:a/b.git"), "git@example.invalid:a/b.git ("),
        (("git", "submodule", "--quiet", "update", "--init"), "what `git submodule` gets ("),
        (("npm", "ci"), "what `npm ci` gets ("),
        (("python3", "-m", "pip", "install", "x"), "what `pip install` gets ("),
        (
            ("/usr/bin/cmake", "-E", "env", "A=b", "curl", URL),
            f"{URL} (CMakeLists.txt:1, execute_process(curl))",
        ),
    ],
)
def test_a_program_that_downloads(project: Project, command: tuple[str, ...], by: str) -> None:
    project.runs("CMakeLists.txt", 1, "execute_process", "COMMAND", *command, "RESULT_VARIABLE", "ignored")
    (said,) = project.asked()
    assert said.startswith(f"error: configure asks the network for {by}")


@pytest.mark.parametrize(
    "command",
    [
        ("git", "rev-parse", "HEAD"),
        ("git", "clone", "/src/a", "/build/a"),
        ("git", "submodule", "status"),
        ("npm", "--version"),
        ("curl", "--version"),
        ("cmake", "-E", "echo", URL),
        ("cmake", "--build", "nowhere"),
        ("pip", "install", "--no-index", "x"),
        ("sh", "-c", f"echo {URL}"),
        ("true", "OUTPUT_FILE", URL),
    ],
)
def test_a_program_that_does_not(project: Project, command: tuple[str, ...]) -> None:
    project.runs("CMakeLists.txt", 1, "execute_process", "COMMAND", *command)
    project.runs("CMakeLists.txt", 2, "file", "DOWNLOAD", "file:///src/a", "/build/a")
    project.runs("CMakeLists.txt", 3, "file", "WRITE", "/build/a", URL)
    assert project.asked() == []


@pytest.mark.parametrize("said", [("--build", "."), ("-GNinja;-DA=B", "."), ("-S", "../get")])
def test_a_cmake_that_is_told_to_download(project: Project, said: tuple[str, ...]) -> None:
    """The way before FetchContent: a project that is written, configured and built while configuring."""
    below = project.root / "build" / "get"
    below.mkdir(parents=True)
    (below / "CMakeLists.txt").write_text(f'project(x)\nExternalProject_Add(gt\n  "URL" "{URL}")\n')
    words = ("COMMAND", "/usr/bin/cmake", *said, "WORKING_DIRECTORY", str(below))
    project.runs("CMakeLists.txt", 5, "execute_process", *words)
    (finding,) = project.asked()
    assert f"asks the network for {URL} (CMakeLists.txt:5, execute_process(cmake))" in finding


def test_external_projects_count_where_the_targets_need_them(project: Project) -> None:
    project.write("CMakeLists.txt", "if(WITH_Z)\n  EP(z)\nendif()\n")
    project.runs("CMakeLists.txt", 1, "option", "WITH_Z", "a doc")
    project.runs("CMakeLists.txt", 2, "ExternalProject_Add", "z", "PREFIX", "p", "GIT_REPOSITORY", URL)
    project.runs("CMakeLists.txt", 2, "ExternalProject_Add", "local", "URL", "/src/local.zip")
    project.runs("CMakeLists.txt", 2, "ExternalProject_Add", "built", "SOURCE_DIR", "/src/built")
    touch = "cd /b && cmake -P /b/p/tmp/{0}.cmake && cmake -E touch /b/p/src/{0}-stamp/{0}-download"
    project.steps.extend((touch.format("local"), touch.format("built"), "c++ -c a.cpp"))
    assert project.asked("server") == []
    project.steps.append(touch.format("z"))
    assert project.asked("server") == [
        (
            f"error: the build asks the network for {URL} (CMakeLists.txt:2, ExternalProject_Add(z)); "
            "turn it off: -DWITH_Z=OFF (the option that guards it)"
        )
    ]


def test_a_command_of_the_build_that_downloads(project: Project) -> None:
    project.write("CMakeLists.txt", "if(WITH_Z)\n  a()\nendif()\n")
    project.runs("CMakeLists.txt", 1, "option", "WITH_Z", "a doc")
    project.runs("CMakeLists.txt", 2, "add_custom_command", "OUTPUT", "z", "COMMAND", "curl", "-o", "z", URL)
    project.steps.append(f"cd /build && curl -o z {URL} && touch z")
    (said,) = project.asked()
    assert f"the build asks the network for {URL} (CMakeLists.txt:2, add_custom_command, curl); " in said
    assert "-DWITH_Z=OFF" in said


def test_a_host_that_only_the_log_names(project: Project) -> None:
    project.lines.append("fatal: unable to access: Could not resolve host: code.example.invalid")
    project.runs("CMakeLists.txt", 9, "message", "FATAL_ERROR", "no sources")
    assert project.asked(status=1) == [
        (
            "error: configure asks the network for code.example.invalid (says its log, not which command); "
            "no option of the project turns it off; take it out with a patch"
        )
    ]


def test_the_log_is_whole_and_holds_no_trace(project: Project) -> None:
    project.lines.extend(('{"version":{"major":1,"minor":2}}', "CMake Warning at a:1"))
    project.runs("CMakeLists.txt", 1, "message", "STATUS", 'a "quoted" \\ \t ü')
    # A program that was run ended its last line nowhere.
    project.lines[-1] = "half a line" + project.lines[-1]
    code, said = project.configure()
    assert code == 0
    assert said == (project.root / "log").read_text() == "CMake Warning at a:1\nhalf a line"


def test_a_configure_that_fails_for_another_reason_stays_that(project: Project) -> None:
    project.lines.append("CMake Error: no compiler")
    code, said = project.configure(status=1)
    assert (code, said) == (1, "CMake Error: no compiler\n")


def test_a_cmake_that_is_not_there(tmp_path: Path) -> None:
    words = ("perl", str(SCRIPT), str(tmp_path / "log"), "--", "no-such-cmake", "-S", "/src", "-B", "/build")
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"})
    assert ran.returncode == 1
    assert "no-such-cmake" in ran.stdout
