"""The command line as a person and as a machine see it: exit codes, what is on stdout, what is on stderr."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from build.cli import main

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
UNREACHABLE = "https://git.example.org/=file:///nonexistent/"
_SOURCE = "".join(path.read_text() for path in sorted((ROOT / "build" / "verbs").glob("*.py")))
VERBS = tuple(sorted({"build", "image", *re.findall(r'verbs\.add(?:_for_recipes)?\(\s*"([a-z]+)"', _SOURCE)}))
"""Of the calls in the source; the two that share one handler are made in a loop."""


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one recipe, of a fork that a git server has."""
    root = tmp_path_factory.mktemp("checkout")
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("build", "dockerfiles", "patches/minifork", "recipes/toolchains"):
        shutil.copytree(ROOT / name, root / name, ignore=skip)
    text = (ROOT / "recipes" / "minifork.yaml").read_text()
    repo = "https://git.example.org/minifork.git"
    (root / "recipes" / "minifork.yaml").write_text(re.sub(r"(?m)^  repo: .*$", f"  repo: {repo}", text))
    return root


@pytest.fixture
def checkout(pristine: Path, tmp_path: Path) -> Path:
    """A copy of it in a folder with blanks in its name, to be spoilt."""
    return shutil.copytree(pristine, tmp_path / "a check out", copy_function=os.link)


def command(checkout: Path, *words: str) -> tuple[tuple[str, ...], dict[str, str]]:
    env = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "INGOT_GIT_MIRROR": UNREACHABLE,
        "INGOT_BASE": "bootstrap",
    }
    return (sys.executable, "-m", "build", *words), env


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv, env = command(checkout, *words)
    return subprocess.run(argv, cwd=checkout, env=env, check=False, capture_output=True, text=True)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.processes
def test_who_reads_the_answer_may_go(checkout: Path) -> None:
    argv, env = command(checkout, "check", "--json")
    child = subprocess.Popen(
        argv, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    with child:
        said = child.stderr.read()
    assert (child.returncode, "roken" in said, "Traceback" in said) == (0, False, False), said


@pytest.mark.processes
def test_a_good_checkout_is_done_and_stdout_is_one_document(checkout: Path) -> None:
    done = run(checkout, "check", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, ["minifork"])
    assert "1 recipes, no problem" in done.stderr or "1 recipe, no problem" in done.stderr


@pytest.mark.processes
def test_bad_recipes_are_all_shown_and_end_with_2(checkout: Path) -> None:
    path = checkout / "recipes" / "minifork.yaml"
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("driver: linked", "driver: likned").replace("\nport:", ""))
    (checkout / "recipes" / "other.yaml").write_text("name: other\nnaem: x\n")
    done = run(checkout, "check", "--json")
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == 2
    assert any("likned" in problem for problem in answer["problems"])
    assert "Traceback" not in done.stderr
    assert re.search(r"recipes/minifork\.yaml:\d+ +toolchain\.driver .*likned", done.stderr)
    assert re.search(r"recipes/other\.yaml:2 +naem ", done.stderr)
    assert re.search(r"\d+ problems in the recipes", done.stderr)
    assert last_line(done.stderr) == "exit 2: the request is wrong"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "named"),
    [(("--builder", "farm"), "farm"), ((), "ours")],
    ids=["the verb's own word wins", "else the setting"],
)
def test_a_builder_that_was_named_is_never_replaced(
    checkout: Path, tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    argv, env = command(checkout, "from-bundle", "bundle", "--into", str(tmp_path / "into"), *words)
    env |= {"PATH": str(tmp_path), "INGOT_BUILDER": "ours"}
    done = subprocess.run(argv, cwd=checkout, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert f"{named} was asked for and cannot be used: there is no docker command" in done.stderr


@pytest.mark.processes
def test_an_unreachable_upstream_ends_with_4_and_leaves_nothing_half_done(checkout: Path) -> None:
    done = run(checkout, "resolve", "minifork", "--json")
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 4
    assert (
        "cannot reach file:///nonexistent/minifork.git for https://git.example.org/minifork.git"
        in " ".join(done.stderr.split())
    )
    assert "INGOT_GIT_MIRROR" in done.stderr
    assert "Traceback" not in done.stderr
    assert last_line(done.stderr) == "exit 4: a tool or a service is missing or unreachable"
    assert not (checkout / "out" / "minifork" / "pin.json").exists()


@pytest.mark.processes
def test_which_of_several_failed_is_said_again_at_the_end_and_why_is_not(checkout: Path) -> None:
    text = (checkout / "recipes" / "minifork.yaml").read_text()
    for old, new in (
        ("name: minifork\n", "name: other\n"),
        ("repository: minifork\n", "repository: other\n"),
    ):
        text = text.replace(old, new)
    (checkout / "recipes" / "other.yaml").write_text(text)
    done = run(checkout, "resolve")
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("cannot reach ") == 2
    assert done.stderr.splitlines()[-2] == "error: 2 of 2 failed: minifork, other"


@pytest.mark.processes
def test_render_needs_the_tree_alone_and_leaves_no_lie(checkout: Path) -> None:
    done = run(checkout, "render", "--json")
    assert done.returncode == 0, done.stderr
    (plan,) = json.loads(done.stdout)
    assert plan["pin"]["base"]["digest"] == f"sha256:{'0' * 64}"
    written = {
        str(path.relative_to(checkout / "out")) for path in (checkout / "out").rglob("*") if path.is_file()
    }
    words = "minifork: its bake file cannot be built yet: nothing is pinned, so it has no digests; `nox -s plan -- minifork`"
    assert words in " ".join(done.stderr.split())
    assert {"minifork/Dockerfile", "minifork/docker-bake.json"} <= written
    assert not {"minifork/pin.json", "minifork/plan.json"} & written


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of an image, so that a run waits for it."""
    path.parent.mkdir(parents=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def waits_for_a_lock(pid: int) -> bool:
    locks = map(str.split, Path("/proc/locks").read_text().splitlines())
    return any(words[1] == "->" and words[5] == str(pid) for words in locks)


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="/proc/locks says when the run waits")
def test_an_interrupt_ends_with_130(checkout: Path) -> None:
    argv, env = command(checkout, "build", "minifork", "--json")
    with held(checkout / "out" / "minifork" / ".lock"):
        # Programs started in the background inherit that SIGINT is ignored; at a terminal it is not.
        process = subprocess.Popen(
            argv,
            cwd=checkout,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no thread runs here)
        )
        until = time.monotonic() + PATIENCE_S
        while not waits_for_a_lock(process.pid):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert last_line(err) == "exit 130: interrupted"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository itself, its artifacts elsewhere."""
    monkeypatch.setenv("INGOT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("INGOT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("plan", "no-such"), 3, "no recipe is named 'no-such'"),
        (("plan", "zz*"), 3, "no recipe matches 'zz*'"),
        (("plan", "minifork", "--variant", "nope"), 3, "recipe minifork has no variant 'nope'"),
        (("push", "no-such"), 3, "no recipe is named 'no-such'"),
        (("push",), 3, "has smoke.json"),
        (("smoke",), 3, "has image.json"),
        (("smoke", "minifork"), 2, "plan.json does not exist"),
        (("bench",), 3, "has image.json"),
        (("bench", "minifork"), 2, "plan.json does not exist"),
        (
            ("bench", "minifork", "--arguments", "'open"),
            2,
            "--arguments cannot be read: No closing quotation",
        ),
        (("push", "minifork"), 2, "INGOT_REGISTRY is not set: nowhere to push to"),
    ],
)
def test_what_a_wrong_request_says(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert main([*words, "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["exit_code"] == code
    assert said in " ".join(err.split())
    assert last_line(err).startswith(f"exit {code}: ")
    assert not (elsewhere / "out").exists() or not any((elsewhere / "out").rglob("*.json"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("INGOT_REGISTRY", "https://ghcr.io/me"), ("INGOT_ENGINE", "docker"), ("INGOT_BASE", "x")],
)
def test_a_wrong_setting_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["check"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{name} is '{value}'" in err


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        [],
        ["build", "--nonsense"],
        ["engine", "explode"],
        ["bench", "--runs", "0"],
        ["bench", "--context", "512,x"],
        ["bench", "--warm-ups", "-1"],
    ],
)
def test_an_unknown_word_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: python -m build" in err


def test_the_help_lists_every_verb_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf"^    {verb}\s+\S", text, re.MULTILINE), verb
    assert "exit codes: 0 done" in text


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    described = text.split("\n\n")[1]
    assert len(described.split()) >= 4, "says what it does"
    assert "--json" in text
    for line in re.findall(r"^  (-[^\n]*)$", text, re.MULTILINE):
        assert line.strip(), line


def test_verbose_shows_where_an_error_arose(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "no-such", "--verbose"]) == 3
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("check", "--json")])
def test_the_repository_itself_is_in_order(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert "minifork" in json.loads(capsys.readouterr().out)
