"""The workflows: what three linters and our own rules say of them, and that each of these can say no."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PROGRAMS = Path(sys.executable).parent
LINTERS = {
    "schema": ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
    "actionlint": ("actionlint", "-no-color"),
    "zizmor": ("zizmor", "--offline", "--no-progress", "--color", "never", "--persona", "pedantic"),
}
"""None of them asks the network; the noxfile's lint calls them in the same way."""
PINNED = re.compile(r"^\s*(?:- )?uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
OURS = re.compile(r"\./noxw -s ([a-z]+(?: [a-z]+)*)(?: -- .*)?")
SET_UP = "sudo apt-get update && sudo apt-get install --yes --no-install-recommends python3-venv"
FRAME = re.compile(r'\{|\} >>"\$GITHUB_OUTPUT"|echo "[A-Za-z<]+"')
"""What hands a verb's output on to other jobs."""


def lint(linter: str, *files: Path) -> subprocess.CompletedProcess[str]:
    program, *words = LINTERS[linter]
    return subprocess.run(
        (str(PROGRAMS / program), *words, *map(str, files)), check=False, capture_output=True, text=True
    )


def load(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def jobs() -> Iterator[Any]:
    for path in FILES:
        for name, job in load(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}.{name}")


def commands(job: dict[str, Any]) -> list[str]:
    return [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]


def test_there_are_workflows() -> None:
    assert {path.name for path in FILES} == {"ci.yml", "publish.yml", "rebuild.yml"}


@pytest.mark.processes
@pytest.mark.parametrize("linter", LINTERS)
def test_a_linter_has_nothing_to_say(linter: str) -> None:
    done = lint(linter, *FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("linter", "old", "new", "said"),
    [
        ("schema", "timeout-minutes: 20", "timeout-minutes: soon", "timeout-minutes"),
        ("schema", "runs-on:", "run-on:", "run-on"),
        (
            "actionlint",
            "matrix.recipe }}",
            "matrix.recipe.name }} ${{ nothing.there }}",
            'undefined variable "nothing"',
        ),
        ("actionlint", "needs: matrix", "needs: matrices", 'needs job "matrices"'),
        ("actionlint", "17 4 * * *", "17 4 * *", "invalid CRON format"),
        ("zizmor", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6", "unpinned-uses"),
        ("zizmor", "permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("zizmor", '-- "$RECIPE"', "-- ${{ inputs.recipe }}", "template-injection"),
    ],
)
def test_a_linter_can_say_no(tmp_path: Path, linter: str, old: str, new: str, said: str) -> None:
    source = next(path for path in (FOLDER / "rebuild.yml", FOLDER / "ci.yml") if old in path.read_text())
    broken = tmp_path / ".github" / "workflows" / source.name
    broken.parent.mkdir(parents=True)
    broken.write_text(source.read_text().replace(old, new, 1))
    done = lint(linter, broken)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside(path: Path) -> None:
    used = [line for line in path.read_text().splitlines() if re.search(r"\buses:", line)]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


def test_one_version_of_an_action() -> None:
    used = re.findall(r"uses: ([\w-]+/[\w-]+)\S*@(\w+ # \S+)", "".join(path.read_text() for path in FILES))
    assert len({name for name, _ in used}) == len(set(used))


@pytest.mark.parametrize("job", list(jobs()))
def test_a_job_has_a_time_limit_and_names_what_it_may_do(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 360, "GitHub ends it then"
    assert job["permissions"]
    assert job["runs-on"] == "ubuntu-24.04", "no runner that changes under a build"


@pytest.mark.parametrize("job", list(jobs()))
def test_a_job_only_calls_sessions(job: dict[str, Any]) -> None:
    sessions = set(re.findall(r"^def ([a-z_]+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    called: list[str] = []
    for line in commands(job):
        ours = OURS.fullmatch(line)
        assert ours or line == SET_UP or FRAME.fullmatch(line), f"not a session: {line}"
        called += ours[1].split() if ours else []
    assert called
    assert set(called) <= sessions


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_may_be_done_that_no_job_asks_for(path: Path) -> None:
    assert load(path)["permissions"] == {}


def test_a_recipe_is_published_by_one_job_at_a_time() -> None:
    rebuild, publish = load(FOLDER / "rebuild.yml"), load(FOLDER / "publish.yml")
    assert rebuild["jobs"]["rebuild"]["concurrency"] == {
        "group": "recipe-${{ matrix.recipe }}", "cancel-in-progress": False,
    }  # fmt: skip
    assert publish["concurrency"] == {"group": "recipe-${{ inputs.recipe }}", "cancel-in-progress": False}


def test_a_recipe_without_success_for_long_fails_its_job_and_is_tried_all_the_same() -> None:
    steps = load(FOLDER / "rebuild.yml")["jobs"]["rebuild"]["steps"]
    runs = [step.get("run", "") for step in steps]
    overdue = runs.index('./noxw -s overdue -- "$RECIPE" --remote origin --days 14')
    rebuild = runs.index('./noxw -s rebuild -- "$RECIPE" --remote origin')
    assert "continue-on-error" not in steps[overdue]
    assert rebuild == overdue + 1, "asked before this run can count as a success"


def test_a_compile_cache_that_cannot_be_restored_stops_no_rebuild() -> None:
    """And what was kept before is not replaced by what this run has compiled."""
    steps = load(FOLDER / "rebuild.yml")["jobs"]["rebuild"]["steps"]
    (restore,) = (number for number, step in enumerate(steps) if step.get("id") == "restore")
    assert "continue-on-error" not in steps[restore], "its failure is seen"
    tried, restored = (
        f"${{{{ !cancelled() && steps.restore.outcome {word} }}}}"
        for word in ("!= 'skipped'", "== 'success'")
    )
    assert [
        (step.get("run", step.get("uses", ""))[:21], step.get("if")) for step in steps[restore + 1 :]
    ] == [
        ("./noxw -s overdue -- ", tried),
        ("./noxw -s rebuild -- ", tried),
        ("./noxw -s ccache -- k", restored),
        ("actions/cache/save@66", restored),
    ]


def test_what_is_restored_is_what_is_kept() -> None:
    steps = load(FOLDER / "rebuild.yml")["jobs"]["rebuild"]["steps"]
    kept = [step["with"] for step in steps if "actions/cache" in step.get("uses", "")]
    assert len(kept) == 2
    assert {(one["path"], one["key"]) for one in kept} == {(kept[0]["path"], kept[0]["key"])}
    assert ".cache/ingot/ccache" in kept[0]["path"].split()
    assert ".cache/ingot/engine" not in kept[0]["path"], "a store of root's that no other engine can read"


def test_the_linters_are_installed_with_everything_else() -> None:
    assert [words[0] for words in LINTERS.values() if not shutil.which(words[0], path=str(PROGRAMS))] == []
