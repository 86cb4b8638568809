import re
from pathlib import Path

import pytest

from build.errors import BadRequest, Unreachable
from build.pin.refresh import Refresh, as_of, cuda_requirement, lock_text, package_lock_text, with_commit
from tests.fakes import RecordingReporter

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
LOCK = f"""{{
  "suite": "bookworm",
  "image": "debian:bookworm-slim",
  "digest": "{OLD}",
  "toolchain_packages": ["g++"]
}}
"""


def refresh(root: Path, answer: str | Exception | None = NEW) -> Refresh:
    (root / "recipes" / "toolchains").mkdir(parents=True)
    (root / "recipes" / "toolchains" / "debian.json").write_text(LOCK)

    def digest_of(_reference: str) -> str | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Refresh(root=root, cache=root / "cache", reporter=RecordingReporter(), digest_of=digest_of)


def test_the_requirement_names_what_nvcc_leaves_open() -> None:
    assert cuda_requirement("13.0") == "cuda-toolkit[nvcc,crt,nvvm,cudart,cublas,cccl]==13.0.*"


def test_a_lock_says_how_it_is_refreshed() -> None:
    text = lock_text("13.0", "nvidia-cuda-nvcc==13.0.88 --hash=sha256:aa\n")
    assert "# Refresh: nox -s pins -- 13.0\n" in text
    assert text.endswith("nvidia-cuda-nvcc==13.0.88 --hash=sha256:aa\n")


def test_only_the_commit_below_a_repository_changes() -> None:
    url, old, new = "https://samples.ingot.invalid/x.git", "1" * 40, "2" * 40
    recipe = (
        f"source:\n  repo: https://example.org/x.git\n  commit: {old}\n"
        f"sets:\n  - name: y\n    repo: {url}\n    # kept\n    version: v1\n    commit: {old}\n    more: {old}\n"
    )
    assert with_commit(recipe, url, new) == recipe.replace(f"    commit: {old}\n", f"    commit: {new}\n")


def test_debian_s_digest_is_the_one_line_that_changes(tmp_path: Path) -> None:
    assert refresh(tmp_path).refresh(("debian",)) == ["recipes/toolchains/debian.json"]
    assert (tmp_path / "recipes/toolchains/debian.json").read_text() == LOCK.replace(OLD, NEW)


def test_an_unchanged_lock_is_not_written(tmp_path: Path) -> None:
    assert refresh(tmp_path, OLD).refresh(("debian",)) == []


def test_absent_and_unreachable_are_different_answers(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="the registry has no debian:bookworm-slim"):
        refresh(tmp_path / "a", None).refresh(("debian",))
    with pytest.raises(Unreachable, match="no route"):
        refresh(tmp_path / "b", Unreachable("no route")).refresh(("debian",))
    assert (tmp_path / "b/recipes/toolchains/debian.json").read_text() == LOCK


@pytest.mark.processes
def test_an_index_without_a_version_is_not_one_that_did_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real uv, which sees a folder without any wheel, then an index that refuses the connection."""
    (tmp_path / "recipes" / "packages").mkdir(parents=True)
    (tmp_path / "recipes" / "packages" / "mini.in").write_text("# as of 2026-05-22\nmini==1\n")
    made = refresh(tmp_path)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with monkeypatch.context() as alone:
        alone.setenv("UV_NO_INDEX", "1")
        with pytest.raises(BadRequest, match=r"nothing that fits .*mini\.in:\n(.|\n)*No solution found"):
            made.refresh(("mini",))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Unreachable, match=r"no answer for .*mini\.in:\n(.|\n)*Connection refused"):
        made.refresh(("mini",))
    assert not (tmp_path / "recipes" / "packages" / "mini.txt").exists()


def test_an_unknown_lock_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="there is no lock called cuda") as caught:
        refresh(tmp_path).refresh(("cuda",))
    assert caught.value.hint == "locks: python, debian, samples"


def test_packages_are_resolved_as_of_a_day_for_the_image_s_python() -> None:
    assert as_of("x.in", "# about\n# as of 2026-05-22\nvllm==0.21.0\n") == (
        *("--exclude-newer", "2026-05-22", "--only-binary", ":all:"),
        *("--python-platform", "x86_64-manylinux_2_36"),
    )


@pytest.mark.parametrize("text", ["vllm==0.21.0\n", "# as of May\n", "# as of 2026-05-22 or so\n"])
def test_an_in_file_without_a_day_is_refused(text: str) -> None:
    with pytest.raises(
        BadRequest, match=re.escape("x.in does not say which day's index it is locked by")
    ) as caught:
        as_of("x.in", text)
    assert caught.value.hint == "add a line `# as of YYYY-MM-DD`"


def test_a_lock_of_packages_names_its_in_file() -> None:
    text = package_lock_text("vllm-0.21.0.in", "vllm==0.21.0 --hash=sha256:aa\n")
    assert text.startswith("# Lock of vllm-0.21.0.in: ")
    assert "# Refresh: nox -s pins -- vllm-0.21.0\nvllm==0.21.0 " in text


def test_an_unknown_lock_is_answered_with_all_of_them(tmp_path: Path) -> None:
    made = refresh(tmp_path)
    (tmp_path / "recipes" / "packages").mkdir()
    (tmp_path / "recipes" / "packages" / "mini.in").write_text("mini==1\n")
    with pytest.raises(BadRequest, match="there is no lock called maxi") as caught:
        made.refresh(("maxi",))
    assert caught.value.hint == "locks: mini, python, debian, samples"
