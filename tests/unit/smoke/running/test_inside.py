"""What is run inside a Python image, run here: the interpreter of the tests is as good as an image's."""

import json
import os
import py_compile
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build.smoke.inside import bytecode, commandline, imports
from build.smoke.inside.__main__ import main

MODULES = {
    "fine": "X = 1\n",
    "raises": "import no_such_module_anywhere\n",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "leaves": "import sys\nsys.exit(3)\n",
    "ends": "import os\nos._exit(7)\n",
    "hangs": "import signal\nsignal.pause()\n",
    "noisy": "print('x' * 100000)\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is importable, as an image's site-packages is."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(site: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def imported(*modules: str, ledger: Path = Path("/nonexistent"), seconds: int = 30) -> dict[str, str]:
    return imports.answer({"modules": modules, "ledger": str(ledger), "seconds": seconds})


# Modules


def test_each_module_is_told_of_by_its_own_last_words(site: Path) -> None:
    write(site, {f"{name}.py": text for name, text in MODULES.items()})
    assert imported("fine", "raises", "crashes", "leaves", "ends", "noisy", "fine.x") == {
        "fine": "",
        "raises": "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        "crashes": "the interpreter was killed by SIGKILL",
        "leaves": "SystemExit: 3",
        "ends": "the interpreter ended with status 7",
        "noisy": "",
        "fine.x": "ModuleNotFoundError: No module named 'fine.x'; 'fine' is not a package",
    }
    assert "fine" not in sys.modules, "it was imported here"


def test_one_that_does_not_end_is_ended(site: Path) -> None:
    write(site, {"hangs.py": MODULES["hangs"]})
    assert imported("hangs", seconds=1) == {"hangs": "not done within 1 s"}


def test_patched_modules_are_imported_too(site: Path, tmp_path: Path) -> None:
    write(site, {"p/__init__.py": "", "p/a.py": "", "p/b.py": "import p.nothing\n"})
    files = [
        ("p/a.py", "1"),
        ("p/b.py", "1"),
        ("p/__init__.py", "1"),
        ("p/gone.py", ""),
        ("p/data.json", "1"),
    ]
    patches = [{"files": [{"path": path, "before": "0", "after": after}]} for path, after in files]
    ledger = tmp_path / "ledger.json"
    ledger.write_text(json.dumps({"patches": patches}))
    assert imported(ledger=ledger) == {
        "p.a": "",
        "p.b": "ModuleNotFoundError: No module named 'p.nothing'",
        "p": "",
    }


TORCH = "__version__ = '2.11.0+cu130'\nclass version:\n    cuda = '13.0'\n"


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"torch.py": TORCH}, {"torch": "2.11.0+cu130", "cuda": "13.0"}),
        ({"torch.py": TORCH.replace("'13.0'", "None")}, {"torch": "2.11.0+cu130", "cuda": "None"}),
        ({"torch.py": "raise OSError('libcudart.so.13')"}, {"failed": "OSError: libcudart.so.13"}),
        ({}, {}),
    ],
)
def test_which_cuda_torch_is_for(site: Path, files: dict[str, str], answer: dict[str, str]) -> None:
    write(site, files)
    assert imports.toolkit({"seconds": 30}) == answer


# Byte code


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(site))
    write(site, {"p/__init__.py": "X = 1\n", "p/template{{x}}.py": "no python"})
    return site / "p" / "__init__.py"


def compiled(
    source: Path, mode: py_compile.PycInvalidationMode = py_compile.PycInvalidationMode.CHECKED_HASH
) -> Path:
    return Path(py_compile.compile(str(source), doraise=True, invalidation_mode=mode) or "")


def looked() -> list[str]:
    return list(bytecode.answer({"compile": ["p"]})["findings"])


def test_byte_code_of_its_source(installed: Path) -> None:
    compiled(installed)
    assert bytecode.answer({"compile": ["p"]}) == {"compiled": 1, "sources": 1, "findings": [], "more": 0}


def test_byte_code_of_a_source_that_was_patched_since(installed: Path) -> None:
    pyc = compiled(installed, py_compile.PycInvalidationMode.UNCHECKED_HASH)
    installed.write_text("X = 2\n")
    assert looked() == [f"{pyc} was not compiled from its source"]


def test_byte_code_that_goes_by_a_time_that_was_changed(installed: Path) -> None:
    pyc = compiled(installed, py_compile.PycInvalidationMode.TIMESTAMP)
    assert looked() == []
    os.utime(installed, (1, 1))
    assert looked() == [
        f"{pyc} is bound to another time of its source than the layers give it: Python compiles it at each start"
    ]


def test_byte_code_without_a_source_of_another_python_or_place(installed: Path, tmp_path: Path) -> None:
    pyc = compiled(installed)
    whole = pyc.read_bytes()
    pyc.write_bytes(b"\0\0\0\0" + whole[4:])
    assert looked() == [f"{pyc} is of another Python"]
    py_compile.compile(
        str(installed),
        cfile=str(pyc),
        dfile="/elsewhere/p/__init__.py",
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )
    assert looked() == [f"{pyc} says that it comes from /elsewhere/p/__init__.py"]
    pyc.write_bytes(whole[:16] + b"\0")
    (finding,) = looked()
    assert finding.startswith(f"{pyc} says that it comes from nowhere: ")
    installed.unlink()
    assert looked() == [f"{pyc} has no source any more"]


def test_a_source_that_does_not_compile(installed: Path) -> None:
    installed.write_text("def f(:\n")
    (finding,) = looked()
    assert finding.startswith(f"{installed} does not compile: invalid syntax")


def test_many_findings_are_counted(installed: Path) -> None:
    write(installed.parent, {f"m{number}.py": "(" for number in range(25)})
    answer = bytecode.answer({"compile": ["p"]})
    assert (len(answer["findings"]), answer["more"]) == (20, 5)


# Command lines


SCRIPT = """
import argparse, sys
def main():
    parser = argparse.ArgumentParser(prog="x", allow_abbrev=False)
    serve = parser.add_subparsers(dest="verb", required=True).add_parser("serve", allow_abbrev=False)
    serve.add_argument("--port", type=int)
    if "--boom" in sys.argv:
        raise RuntimeError("boom")
    if "--silent" not in sys.argv:
        parser.parse_args()
        raise AssertionError("the server was started")
"""


def test_a_server_is_asked_by_its_own_parser_and_not_started(site: Path) -> None:
    write(
        site,
        {
            "x.py": SCRIPT,
            "x-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: x\nVersion: 1\n",
            "x-1.dist-info/entry_points.txt": "[console_scripts]\nx-server = x:main\n",
        },
    )
    lines = [["--port", "1"], ["--port", "one"], ["--no-such"], ["--boom"], ["--silent"]]
    argv = list(sys.argv)
    answer = commandline.answer({"entrypoint": ["/opt/venv/bin/x-server", "serve"], "lines": lines})
    assert answer["twins"] == {}
    assert [one["refused"] for one in answer["lines"]] == [
        "",
        "x serve: error: argument --port: invalid int value: 'one'",
        "x: error: unrecognized arguments: --no-such",
        "RuntimeError: boom",
        "it ended without looking at its arguments",
    ]
    assert sys.argv == argv


VLLM = {
    "vllm/__init__.py": "",
    "vllm/entrypoints/__init__.py": "",
    "vllm/entrypoints/openai/__init__.py": "",
    "vllm/entrypoints/openai/cli_args.py": """
import argparse, json
FlexibleArgumentParser = argparse.ArgumentParser
def make_arg_parser(parser):
    for name in ("attention-backend", "quantization", "tool-call-parser", "reasoning-parser"):
        parser.add_argument("--" + name)
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    for name in ("speculative-config", "hf-overrides"):
        parser.add_argument("--" + name, type=json.loads)
    return parser
def validate_parsed_serve_args(args):
    if args.enable_auto_tool_choice and not args.tool_call_parser:
        raise TypeError("--enable-auto-tool-choice requires --tool-call-parser")
""",
    "vllm/config/__init__.py": """
class AttentionConfig:
    def __init__(self, backend):
        if backend != "FLASHINFER":
            raise ValueError(f"Unknown attention backend: {backend}")
""",
    "vllm/config/speculative.py": "from typing import Literal\nSpeculativeMethod = Literal['mtp', Literal['eagle']]\n",
    "vllm/model_executor/__init__.py": "",
    "vllm/model_executor/layers/__init__.py": "",
    "vllm/model_executor/layers/quantization.py": """
QUANTIZATION_METHODS = ["fp8", "inc"]
class Fp8:
    def override_quantization_method(cfg, name, hf_config): return None
class Inc:
    def override_quantization_method(cfg, name, hf_config):
        return "inc" if cfg["quant_method"] == "auto-round" else None
def get_quantization_config(name): return {"fp8": Fp8, "inc": Inc}[name]
""",
    "vllm/model_executor/models.py": """
class ModelRegistry:
    def get_supported_archs(): return {"Gemma4": 1}.keys()
""",
    "vllm/tool_parsers.py": "class ToolParserManager:\n    get_tool_parser = {'qwen3': 1}.__getitem__\n",
    "vllm/reasoning.py": "class ReasoningParserManager:\n    get_reasoning_parser = {'qwen3': 1}.__getitem__\n",
}


def judged(site: Path, *words: str) -> dict[str, Any]:
    write(site, VLLM)
    answer = commandline.answer({"entrypoint": ["vllm", "serve"], "lines": [list(words)]})
    (line,) = answer["lines"]
    return {
        "refused": line["refused"],
        "names": {one["registry"]: one["refused"] for one in line["names"]},
        **answer["twins"],
    }


def test_names_are_looked_up_in_the_registries(site: Path) -> None:
    words = ("--attention-backend", "FLASHINFER", "--quantization", "auto_round", "--tool-call-parser", "qwen3",
             "--reasoning-parser", "qwen3", "--speculative-config", '{"method": "eagle"}',
             "--hf-overrides", '{"architectures": ["Gemma4"]}', "--enable-auto-tool-choice")  # fmt: skip
    found = judged(site, *words)
    assert found["refused"] == ""
    assert found["names"] == dict.fromkeys(
        (
            "attention backend",
            "quantization",
            "tool parser",
            "reasoning parser",
            "speculative method",
            "model architecture",
        ),
        "",
    )


@pytest.mark.parametrize(
    ("words", "registry", "why"),
    [
        (("--attention-backend", "NOPE"), "attention backend", "ValueError: Unknown attention backend: NOPE"),
        (
            ("--quantization", "nope"),
            "quantization",
            "LookupError: 'nope' is no method, and no method takes such a checkpoint over",
        ),
        (("--tool-call-parser", "nope"), "tool parser", "KeyError: 'nope'"),
        (
            ("--speculative-config", '{"method": "nope"}'),
            "speculative method",
            "LookupError: 'nope' is none of eagle, mtp",
        ),
        (
            ("--hf-overrides", '{"architectures": ["Nope"]}'),
            "model architecture",
            "LookupError: 'Nope' is none of Gemma4",
        ),
    ],
)
def test_a_name_that_no_registry_has(site: Path, words: tuple[str, ...], registry: str, why: str) -> None:
    found = judged(site, *words)
    assert (found["refused"], found["names"]) == ("", {registry: why})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--nope",), "vllm serve: error: unrecognized arguments: --nope"),
        (("--enable-auto-tool-choice",), "TypeError: --enable-auto-tool-choice requires --tool-call-parser"),
    ],
)
def test_what_parser_and_validation_refuse(site: Path, words: tuple[str, ...], why: str) -> None:
    assert judged(site, *words)["refused"] == why


def test_a_registry_is_held_to_a_name_that_nobody_gave(site: Path) -> None:
    found = judged(site)
    assert found["attention backend"] == "ValueError: Unknown attention backend: ingot-no-such-name"
    assert all(found[name] for name in found if name not in {"refused", "names"})


def test_a_registry_that_moved_is_no_registry(site: Path) -> None:
    write(site, VLLM)
    (site / "vllm" / "reasoning.py").unlink()
    answer = commandline.answer({"entrypoint": ["vllm"], "lines": [["--reasoning-parser", "qwen3"]]})
    assert (
        answer["lines"][0]["names"][0]["refused"] == "ModuleNotFoundError: No module named 'vllm.reasoning'"
    )


# The whole


def test_the_answer_stands_between_two_marks(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(site, {"fine.py": "X = 1\n"})
    question = {"task": "imports", "modules": ["fine"], "ledger": "/nonexistent", "seconds": 30}
    main("MARK", json.dumps(question))
    before, answer, after = capsys.readouterr().out.split("\nMARK\n")
    assert (before, json.loads(answer), after) == ("", {"fine": ""}, "")


def test_nothing_of_ours_is_imported() -> None:
    """In the image there is no Ingot."""
    folder = Path(imports.__file__).parent
    for path in folder.glob("*.py"):
        assert "from build" not in path.read_text(), path.name
