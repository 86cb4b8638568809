"""Help texts of several generations, taken apart. The long ones in tests/data/help/ were printed by built images."""

import re
from pathlib import Path

import pytest

from build.smoke.clihelp import HelpFlag, find_flag, parse_help

DATA = Path(__file__).parents[2] / "data" / "help"
LLAMA = parse_help((DATA / "llama-cpp-af6528e6.txt").read_text())
VLLM = parse_help((DATA / "vllm-0.21.0.txt").read_text())
MINI = parse_help((DATA / "minifork.txt").read_text())
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


def named(flags: tuple[HelpFlag, ...], name: str) -> HelpFlag:
    found = find_flag(flags, name)
    assert found, f"{name} was not read"
    return found


def one(text: str) -> HelpFlag:
    (flag,) = parse_help(text)
    return flag


def test_every_flag_of_llama_cpp_is_read_once() -> None:
    assert len(LLAMA) == 241
    spellings = [spelling for flag in LLAMA for spelling in flag.spellings]
    assert len(set(spellings)) == len(spellings)
    assert all(flag.text for flag in LLAMA), "a text was lost"
    assert sum(flag.env != "" for flag in LLAMA) == (DATA / "llama-cpp-af6528e6.txt").read_text().count(
        "(env: "
    )


@pytest.mark.parametrize(
    ("name", "spellings", "value", "values", "default", "env"),
    [
        ("-h", ("-h", "--help", "--usage"), "", (), None, ""),
        ("-c", ("-c", "--ctx-size"), "N", (), "0", "LLAMA_ARG_CTX_SIZE"),
        ("-C", ("-C", "--cpu-mask"), "M", (), "", ""),
        ("--perf", ("--perf", "--no-perf"), "", (), "false", "LLAMA_ARG_PERF"),
        ("--flash-attn", ("-fa", "--flash-attn"), "[on|off|auto]", ("on", "off", "auto"), "auto", "LLAMA_ARG_FLASH_ATTN"),
        ("--poll", ("--poll",), "<0...100>", (), "50", ""),
        ("--cpu-strict", ("--cpu-strict",), "<0|1>", ("0", "1"), "0", ""),
        ("-ctk", ("-ctk", "--cache-type-k"), "TYPE", CACHE_TYPES, "f16", "LLAMA_ARG_CACHE_TYPE_K"),
        ("-sm", ("-sm", "--split-mode"), "{none,layer,row,tensor}", ("none", "layer", "row", "tensor"), "layer",
         "LLAMA_ARG_SPLIT_MODE"),
        ("--numa", ("--numa",), "TYPE", ("distribute", "isolate", "numactl"), None, "LLAMA_ARG_NUMA"),
        ("--reasoning-format", ("--reasoning-format",), "FORMAT", ("none", "deepseek", "deepseek-legacy"), "auto",
         "LLAMA_ARG_THINK"),
        ("-rea", ("-rea", "--reasoning"), "[on|off|auto]", ("on", "off", "auto"), "auto", "LLAMA_ARG_REASONING"),
        ("-fitt", ("-fitt", "--fit-target"), "MiB0,MiB1,MiB2,...", (), "1024", "LLAMA_ARG_FIT_TARGET"),
        ("-ot", ("-ot", "--override-tensor"), "<tensor name pattern>=<buffer type>,...", (), None,
         "LLAMA_ARG_OVERRIDE_TENSOR"),
        ("-dev", ("-dev", "--device"), "<dev1,dev2,..>", (), None, "LLAMA_ARG_DEVICE"),
        ("--control-vector-layer-range", ("--control-vector-layer-range",), "START END", (), None, ""),
        ("--samplers", ("--samplers",), "SAMPLERS", (),
         "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature", ""),
        ("--yarn-orig-ctx", ("--yarn-orig-ctx",), "N", (), "0", "LLAMA_ARG_YARN_ORIG_CTX"),
        ("-tb", ("-tb", "--threads-batch"), "N", (), "same as --threads", ""),
        ("--path", ("--path",), "PATH", (), "", "LLAMA_ARG_STATIC_PATH"),
        ("--temp", ("--temp", "--temperature"), "N", (), "0.80", ""),
        ("--fim-qwen-1.5b-default", ("--fim-qwen-1.5b-default",), "", (), None, ""),
        ("-lv", ("-lv", "--verbosity", "--log-verbosity"), "N", ("0", "1", "2", "3", "4", "5"), "3",
         "LLAMA_ARG_LOG_VERBOSITY"),
    ],
)  # fmt: skip
def test_flags_of_llama_cpp(
    name: str, spellings: tuple[str, ...], value: str, values: tuple[str, ...], default: str | None, env: str
) -> None:
    flag = named(LLAMA, name)
    assert (flag.spellings, flag.value, flag.values, flag.default, flag.env) == (
        spellings,
        value,
        values,
        default,
        env,
    )


def test_types_of_speculative_decoding() -> None:
    assert named(LLAMA, "--spec-type").values == (
        "none", "draft-simple", "draft-eagle3", "draft-mtp", "ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod",
        "ngram-cache",
    )  # fmt: skip


def test_what_is_listed_as_removed() -> None:
    assert [flag.head for flag in LLAMA if flag.removed] == [
        "--draft, --draft-n, --draft-max N",
        "--draft-min, --draft-n-min N",
        "--spec-ngram-size-n N",
        "--spec-ngram-size-m N",
        "--spec-ngram-min-hits N",
    ]


def test_a_text_is_put_together_and_says_nothing_of_the_environment() -> None:
    assert named(LLAMA, "-n").text == "number of tokens to predict (default: -1, -1 = infinity)"


def test_the_sample() -> None:
    assert len(MINI) == 15
    assert named(MINI, "--cache-type-k").values == ("f16", "q8_0", "q4_0")
    assert named(MINI, "--spec-type").values == ("none", "draft-mini", "ngram")
    assert named(MINI, "--draft-max") == HelpFlag(
        spellings=("--draft-max",),
        value="N",
        default="4",
        env="MINI_ARG_DRAFT_MAX",
        text="number of tokens to draft for speculative decoding (default: 4)",
    )
    assert named(MINI, "-ngl").name == "--gpu-layers"


INDENTED = """\
usage: ./server [options]

general:

  -h,    --help, --usage          print usage and exit
         --version                show version
         --rope-scaling {none,linear,yarn}
                                  scaling method
  -ctk,  --cache-type-k TYPE      data type for K (default: f16)
  -fa,   --flash-attn             enable it (default: disabled)
         --numa TYPE              optimizations
                                    - distribute: spread evenly
                                    - isolate: one node
"""
"""The layout of 2024: spellings indented by two, long ones alone by nine."""

FIRST = """\
options:
  -h, --help                show this help message and exit
  -t N,  --threads N        number of threads (default: 8)
  -m FNAME, --model FNAME
                            model path (default: models/7B/ggml-model-f16.gguf)
  -ts SPLIT --tensor-split SPLIT
                            fractions, comma-separated, e.g. 3,1
"""
"""The layout of 2023: every spelling with its placeholder, once without the comma."""

ARGPARSE = """\
usage: serve [-h] [--dtype {auto,half}]
             [--port PORT]

options:
  -h, --help            show this help message and exit
  --dtype {auto,half}   Data type. (default: auto)
  --port PORT, -p PORT  Port
                        to listen on.
  --block-size {8, 16, 32}
                        Size of a block.
"""


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        (
            INDENTED,
            ["-h, --help, --usage", "--version", "--rope-scaling {none,linear,yarn}", "-ctk, --cache-type-k TYPE",
             "-fa, --flash-attn", "--numa TYPE"],
        ),
        (FIRST, ["-h, --help", "-t, --threads N", "-m, --model FNAME", "-ts, --tensor-split SPLIT"]),
        (ARGPARSE, ["-h, --help", "--dtype {auto,half}", "--port, -p PORT", "--block-size {8, 16, 32}"]),
    ],
    ids=["2024", "2023", "argparse"],
)  # fmt: skip
def test_other_layouts(text: str, heads: list[str]) -> None:
    assert [flag.head for flag in parse_help(text)] == heads
    assert all(flag.text for flag in parse_help(text))


def test_values_and_defaults_of_other_layouts() -> None:
    assert named(parse_help(INDENTED), "--numa").values == ("distribute", "isolate")
    assert named(parse_help(INDENTED), "-fa").default == "disabled"
    assert named(parse_help(FIRST), "-m").default == "models/7B/ggml-model-f16.gguf"
    assert named(parse_help(ARGPARSE), "--block-size").values == ("8", "16", "32")
    assert named(parse_help(ARGPARSE), "--port").text == "Port to listen on."


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("--x TYPE    data type, allowed values: f32, f16 (default: f16)", ("f32", "f16")),
        ("--x TYPE    allowed values: f32,\n                      f16, turbo3\n                      (default: f16)",
         ("f32", "f16", "turbo3")),
        ("--x KIND    one of: a, b or c", ("a", "b", "c")),
        ("--x KIND    choices: 'a', 'b'", ("a", "b")),
        ("--x KIND    one of the usual kinds", ()),
        ("--x KIND    the kind: a, b (default: c)", ()),
        ("--x a|b     the kind", ("a", "b")),
        ("--x A,B,... the kinds", ()),
        ("--x lo-hi   the range", ()),
        ("--x [<repo>/]<model>[:quant]    a model", ()),
        ("--x N       see\n                      - this alone: it is no list", ()),
    ],
)  # fmt: skip
def test_enumerations(text: str, values: tuple[str, ...]) -> None:
    assert one(text).values == values


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("(default: 4096)", "4096"),
        ("(default: -1, -1 = infinity)", "-1"),
        ("(default: -1; -1 = disabled)", "-1"),
        ("(default: 'auto' (detect from template))", "auto"),
        ("('on' or 'off', default: 'on')", "on"),
        ('(default: "")', ""),
        ("(default: )", ""),
        ("(default: model's own, if any)", "model's own"),
        ("(default: f(x, y))", "f(x, y)"),
        ("(default: ['a', 'b'])", "['a', 'b']"),
        ("[default: 3]", "3"),
        ("per device, default: 1024", "1024"),
        ("(default: 0 = from the model)", "0"),
        ("the default is good", None),
    ],
)
def test_defaults(text: str, default: str | None) -> None:
    assert one(f"--x N    text {text}").default == default


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usage: server [-h] [--port PORT]\n",
        "----- common params -----\n",
        "-1 is no flag\n- nor is this\n",
        "--- nor this\n",
        "-x(y) is no flag  text\n",
        " " * 20 + "--deep is some flag's text\n",
    ],
)
def test_what_is_no_flag(text: str) -> None:
    assert parse_help(text) == ()


def test_a_heading_ends_a_flags_text() -> None:
    first, second = parse_help("--a N    one\n\nserver:\n             lost\n--b    two\n")
    assert (first.text, second.text) == ("one", "two")


def test_every_flag_of_vllm_is_read_once_and_nothing_else() -> None:
    text = (DATA / "vllm-0.21.0.txt").read_text()
    listed = re.findall(r"^  (-[\w-]+)", text, re.MULTILINE)
    assert [flag.spellings[0] for flag in VLLM] == listed
    assert len(VLLM) == 248


@pytest.mark.parametrize(
    ("name", "spellings", "value", "values", "default"),
    [
        ("--api-key", ("--api-key",), "API_KEY [API_KEY ...]", (), "None"),
        ("-sc", ("--speculative-config", "-sc"), "SPECULATIVE_CONFIG", (), "None"),
        ("--enable-log-requests", ("--enable-log-requests", "--no-enable-log-requests"), "", (), "False"),
        (
            "--gdn-prefill-backend",
            ("--gdn-prefill-backend",),
            "{flashinfer,triton}",
            ("flashinfer", "triton"),
            "None",
        ),
        ("-q", ("--quantization", "-q"), "QUANTIZATION", (), "None"),
    ],
)
def test_flags_of_vllm(
    name: str, spellings: tuple[str, ...], value: str, values: tuple[str, ...], default: str
) -> None:
    flag = named(VLLM, name)
    assert (flag.spellings, flag.value, flag.values, flag.default) == (spellings, value, values, default)


def test_a_long_list_of_choices_is_read_whole() -> None:
    flag = named(VLLM, "--kv-cache-dtype")
    assert len(flag.values) == 15
    assert {"auto", "fp8_e5m2", "nvfp4", "turboquant_k8v4"} < set(flag.values)


@pytest.mark.parametrize(
    "line",
    [
        '  --json-arg \'{"key1": "value1"}\'',
        "  --json-arg.key1 value1 --json-arg.key2 value2",
        "  --help=ModelConfig, --help=Frontend)",
    ],
)
def test_an_example_is_no_flag(line: str) -> None:
    assert parse_help(f"{line}\n  --real N              text\n") == (
        HelpFlag(spellings=("--real",), value="N", text="text"),
    )
