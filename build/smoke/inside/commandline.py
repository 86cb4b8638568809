"""Puts command lines through vLLM's own parser and validation, and asks its registries for what neither looks at.

Other servers are started with each command line, up to where argparse has taken it.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from typing import Any, get_args

__all__ = ["answer"]

_LINE = 1000
_NONSENSE = "ingot-no-such-name"

Ask = Callable[[str], object]


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Judge each command line, and whether each registry refuses a name that nobody gave."""
    if importlib.util.find_spec("vllm") is None:
        return {"lines": [_started(asked["entrypoint"], words) for words in asked["lines"]], "twins": {}}
    cli: Any = importlib.import_module("vllm.entrypoints.openai.cli_args")
    parser = cli.make_arg_parser(cli.FlexibleArgumentParser(prog="vllm serve"))
    return {
        "lines": [_line(cli, parser, words) for words in asked["lines"]],
        "twins": {name: _refusal(ask, _NONSENSE) for name, (_, ask) in _REGISTRIES.items()},
    }


class _ParsedError(BaseException):
    """A parser took a command line: nothing after that is of interest. No handler for errors must catch it."""


def _started(entrypoint: list[str], words: list[str]) -> dict[str, Any]:
    """Start a server by its console script, and leave when its argparse parser has taken the command line."""
    script = os.path.basename(entrypoint[0])  # noqa: PTH119
    (program,) = importlib.metadata.entry_points(group="console_scripts", name=script)
    usual = argparse.ArgumentParser.parse_args
    said = io.StringIO()

    def parse(self: argparse.ArgumentParser, *args: Any, **others: Any) -> argparse.Namespace:  # noqa: ANN401
        usual(self, *args, **others)
        raise _ParsedError

    argv = sys.argv
    try:
        argparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign, assignment]
        sys.argv = [*entrypoint, *words]
        with contextlib.redirect_stderr(said):
            program.load()()
    except _ParsedError:
        return {"refused": "", "names": []}
    except SystemExit:
        return {"refused": _last(said.getvalue()), "names": []}
    except Exception as error:  # noqa: BLE001  (whatever it raises, it is its word on the line)
        return {"refused": f"{type(error).__name__}: {error}"[:_LINE], "names": []}
    finally:
        argparse.ArgumentParser.parse_args = usual  # type: ignore[method-assign]
        sys.argv = argv
    return {"refused": "it ended without looking at its arguments", "names": []}


def _line(cli: Any, parser: Any, words: list[str]) -> dict[str, Any]:  # noqa: ANN401
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            args = parser.parse_args(words)
            cli.validate_parsed_serve_args(args)
    except SystemExit:
        return {"refused": _last(said.getvalue()), "names": []}
    except Exception as error:  # noqa: BLE001  (whatever it raises, it is the parser's word on the line)
        return {"refused": f"{type(error).__name__}: {error}"[:_LINE], "names": []}
    names = [
        {"registry": name, "value": value, "refused": _refusal(ask, value)}
        for name, (values, ask) in _REGISTRIES.items()
        for value in values(args)
    ]
    return {"refused": "", "names": names}


def _last(said: str) -> str:
    """Return argparse's last line, the one that says what is wrong."""
    lines = said.strip().splitlines()
    return (lines[-1] if lines else "it ended without a word")[:_LINE]


def _refusal(ask: Ask, value: str) -> str:
    """Return why a registry does not have a name; empty where it has."""
    try:
        ask(value)
    except Exception as error:  # noqa: BLE001  (registries raise what they like)
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return said[:_LINE]
    return ""


def _attention(name: str) -> object:
    return _module("vllm.config").AttentionConfig(backend=name)


def _quantization(name: str) -> object:
    """A name that is no method's own may be a checkpoint's, which a method takes over: `auto_round` becomes `inc`."""
    quantization = _module("vllm.model_executor.layers.quantization")
    if name in quantization.QUANTIZATION_METHODS:
        return quantization.get_quantization_config(name)
    checkpoint = {"quant_method": name.replace("_", "-")}
    for method in quantization.QUANTIZATION_METHODS:
        with contextlib.suppress(Exception):  # most look for keys that such a checkpoint does not have
            takes_over = quantization.get_quantization_config(method).override_quantization_method
            if takes_over(checkpoint, name, hf_config=None):
                return method
    message = f"{name!r} is no method, and no method takes such a checkpoint over"
    raise LookupError(message)


def _tool_parser(name: str) -> object:
    return _module("vllm.tool_parsers").ToolParserManager.get_tool_parser(name)


def _reasoning_parser(name: str) -> object:
    return _module("vllm.reasoning").ReasoningParserManager.get_reasoning_parser(name)


def _speculative(name: str) -> None:
    _member(name, get_args(_module("vllm.config.speculative").SpeculativeMethod))


def _architecture(name: str) -> None:
    _member(name, _module("vllm.model_executor.models").ModelRegistry.get_supported_archs())


def _module(name: str) -> Any:  # noqa: ANN401
    return importlib.import_module(name)


def _member(name: str, known: Any) -> None:  # noqa: ANN401
    if name not in known:
        message = f"{name!r} is none of {', '.join(sorted(map(str, known)))}"
        raise LookupError(message)


def _given(key: str) -> Callable[[Any], list[str]]:
    def values(args: Any) -> list[str]:  # noqa: ANN401
        value = getattr(args, key, None)
        return [str(getattr(value, "name", value))] if value else []

    return values


def _methods(args: Any) -> list[str]:  # noqa: ANN401
    config = getattr(args, "speculative_config", None) or {}
    return [str(config["method"])] if config.get("method") else []


def _architectures(args: Any) -> list[str]:  # noqa: ANN401
    config = getattr(args, "hf_overrides", None)
    return [str(name) for name in config.get("architectures") or ()] if isinstance(config, dict) else []


_REGISTRIES: dict[str, tuple[Callable[[Any], list[str]], Ask]] = {
    "attention backend": (_given("attention_backend"), _attention),
    "quantization": (_given("quantization"), _quantization),
    "tool parser": (_given("tool_call_parser"), _tool_parser),
    "reasoning parser": (_given("reasoning_parser"), _reasoning_parser),
    "speculative method": (_methods, _speculative),
    "model architecture": (_architectures, _architecture),
}
"""What a command line names without being checked: where its names are, and who knows them."""
