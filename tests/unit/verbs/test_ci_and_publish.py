"""The verbs of schedulers and of the registry, as they are typed: what is on stdout, what they refuse."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from build.cli import main

WATCHED = {"atomic", "beellama", "buun", "llama-cpp-mtp", "minifork", "turboquant"}


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, json.loads(out), " ".join(err.split())


def test_the_matrix_is_on_stdout_without_being_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(capsys, "matrix")
    assert code == 0
    assert set(found) == {"include"}
    assert {"minifork", "llama-cpp"} <= {job["recipe"] for job in found["include"]}
    assert {job["variant"] for job in found["include"]} == {""}


def test_the_matrix_of_a_selection_with_its_variants(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(capsys, "matrix", "minifork", "--variants")
    assert code == 0
    assert [job["name"] for job in found["include"]] == ["minifork", "minifork+no-vmm", "minifork+sm89"]
    _, found, _ = answer(capsys, "matrix", "minifork", "--variant", "sm89")
    assert [(job["name"], job["architectures"]) for job in found["include"]] == [("minifork+sm89", "89-real")]


def test_the_matrix_of_what_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    _, found, _ = answer(capsys, "matrix", "--watched")
    assert {job["recipe"] for job in found["include"]} == WATCHED


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("matrix", "zz*"), 3, "no recipe matches 'zz*'"),
        (("matrix", "llama-cpp", "--watched"), 3, "none of the selected recipes is watched"),
        (("matrix", "--variant", "sm89", "--variants"), 2, "--variant and --variants cannot both be meant"),
        (("history", "minifork"), 2, "INGOT_REGISTRY is not set: no registry to ask"),
        (("custody", "minifork"), 2, "INGOT_CUSTODY is not set: no place to keep copies"),
        (("custody", "minifork", "--to", "somewhere"), 2, "INGOT_CUSTODY is 'somewhere'"),
        (("custody", "zz*", "--check"), 3, "no recipe matches 'zz*'"),
        (("rollback", "minifork"), 2, "INGOT_REGISTRY is not set: no registry to ask"),
        (("overdue", "--state", "no-such.json"), 2, "no-such.json does not exist"),
        (("overdue", "--state", "no-such.json", "--days", "0"), 2, "--days is 0"),
    ],
)
def test_what_a_wrong_request_says(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    got, found, err = answer(capsys, *words, *(() if words[0] == "matrix" else ("--json",)))
    assert (got, found["exit_code"]) == (code, code)
    assert said in err


def test_a_rollback_is_of_one_recipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGOT_REGISTRY", "registry.example.org/team")
    code, _, err = answer(capsys, "rollback", "llama-*", "--json")
    assert code == 2
    assert "'llama-*' means 2 recipes: a rollback is of one" in err


def write_state(path: Path, **days: float) -> str:
    now = datetime.now(UTC)
    state = {name: {"last_success": (now - timedelta(days=ago)).isoformat()} for name, ago in days.items()}
    path.write_text(json.dumps(state))
    return str(path)


def test_runs_that_succeed_are_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = write_state(tmp_path / "state.json", minifork=2.0, buun=6.9)
    code, found, err = answer(capsys, "overdue", "--state", state, "--json")
    assert code == 0
    assert {one["recipe"] for one in found} == WATCHED, "what is not followed has no runs"
    assert "minifork: last success 2.0 days ago" in err
    assert "beellama: no run has succeeded yet" in err


def test_runs_that_stopped_end_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = write_state(tmp_path / "state.json", minifork=2.0, buun=6.9)
    code, found, err = answer(capsys, "overdue", "buun", "--state", state, "--days", "6", "--json")
    assert code == 1
    assert found["error"].startswith("no successful run within 6 days: buun since ")
    assert "exit 1: the work failed" in err
    assert main(["overdue", "minifork", "--state", state, "--days", "6"]) == 0


def test_a_run_is_of_all_variants_so_none_is_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["overdue", "--variant", "sm89"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --variant" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["history", "rollback", "matrix", "overdue", "ccache"])
def test_the_help_of_a_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert len(text.split("\n\n")[1].split()) >= 4
    assert "--json" in text
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"    {verb} " in capsys.readouterr().out


def test_without_a_toolchain_there_is_no_compile_cache_to_carry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INGOT_CACHE", str(tmp_path))
    code, found, err = answer(capsys, "ccache", "keep", "--json")
    assert (code, found) == (0, [])
    assert "no toolchain of CUDA 13.0 is here: nothing was compiled with it" in err


def test_a_new_machine_gets_the_toolchain_of_what_was_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("INGOT_CACHE", tmp_path), ("INGOT_ENGINE", "host"), ("PATH", tmp_path)):
        monkeypatch.setenv(name, str(value))
    code, found, err = answer(capsys, "ccache", "restore", "--json")
    assert (code, found) == (0, []), "without a file no engine is asked for"
    kept = re.search(
        r"no compile cache of CUDA 13\.0 was kept: (\S+/ccache/[0-9a-f]{12}\.tar) is not there", err
    )
    assert kept, err
    Path(kept[1]).parent.mkdir(exist_ok=True)
    Path(kept[1]).write_bytes(b"kept")
    code, found, err = answer(capsys, "ccache", "restore", "--json")
    assert (code, found["error"]) == (4, "the host's engine cannot be used: there is no docker command")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keep", "--max-size", "2T"), "'2T' is no size such as 500M or 2G"),
        (("keep", "--max-size", "0"), "'0' is no size such as 500M or 2G"),
        (("keep", "--max-size", "-1"), "'-1' is no size such as 500M or 2G"),
    ],
)
def test_what_is_no_size(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ccache", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_restored_is_as_big_as_it_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(capsys, "ccache", "restore", "--max-size", "500M", "--json")
    assert (code, found["error"]) == (2, "--max-size cannot be meant for restore")
