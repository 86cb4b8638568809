"""The -D options of a recipe: which names are the pipeline's own, which values are safe and mean one thing. Pure."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

from build.recipe.model import CMakeOption, Source
from build.recipe.placeholders import placeholder_findings, without
from build.recipe.words import Finding, plain, prose, quoted, shown

__all__ = ["OWNED", "option_findings"]

OWNED = (
    ("CMAKE_CUDA_ARCHITECTURES", "it belongs in toolchain.architectures"),
    ("CMAKE_EXE_LINKER_FLAGS*", "link_fix sets it, for every cmake call"),
    ("CMAKE_SHARED_LINKER_FLAGS*", "link_fix sets it, for every cmake call"),
    ("CMAKE_MODULE_LINKER_FLAGS*", "link_fix sets it, for every cmake call"),
    (
        "CMAKE_C_FLAGS*",
        "the pipeline sets what keeps builds equal; a project's own option or a patch says the rest",
    ),
    (
        "CMAKE_CXX_FLAGS*",
        "the pipeline sets what keeps builds equal; a project's own option or a patch says the rest",
    ),
    (
        "CMAKE_CUDA_FLAGS*",
        "the pipeline sets what keeps builds equal; a project's own option or a patch says the rest",
    ),
    ("CMAKE_*_COMPILER_LAUNCHER", "the pipeline puts ccache there"),
    ("CMAKE_*_LINKER_LAUNCHER", "nothing may stand between the build and its linker"),
    ("CMAKE_*_COMPILER", "toolchain.cuda says which compiler"),
    ("CMAKE_*_HOST_COMPILER", "toolchain.cuda says which compiler"),
    ("CMAKE_*_COMPILER_AR", "toolchain.cuda says which compiler, and its binutils come with it"),
    ("CMAKE_*_COMPILER_RANLIB", "toolchain.cuda says which compiler, and its binutils come with it"),
    ("CMAKE_LINKER*", "nothing may stand between the build and its linker"),
    ("CMAKE_AR", "the pipeline chooses the compilers and what belongs to them"),
    ("CMAKE_RANLIB", "the pipeline chooses the compilers and what belongs to them"),
    ("CMAKE_NVCC*", "toolchain.cuda says which compiler"),
    ("CMAKE_RULE_LAUNCH_*", "the pipeline puts ccache there"),
    ("CMAKE_USER_MAKE_RULES_OVERRIDE*", "the pipeline sets what keeps builds equal"),
    ("CMAKE_*_RULE*", "the pipeline sets what keeps builds equal"),
    ("CUDAToolkit_ROOT", "toolchain.cuda says which toolkit"),
    ("CMAKE_INSTALL_*", "the pipeline decides where things are installed and how they find each other"),
    ("CMAKE_BUILD_WITH_INSTALL_RPATH", "the pipeline sets the run path to $ORIGIN"),
    ("CMAKE_BUILD_RPATH*", "the pipeline sets the run path to $ORIGIN"),
    ("CMAKE_SKIP_*RPATH", "the pipeline sets the run path to $ORIGIN"),
    ("CMAKE_BUILD_TYPE", "every build is a Release build"),
    ("CMAKE_TOOLCHAIN_FILE", "the pipeline chooses the compilers"),
    ("CMAKE_SYSROOT*", "the pipeline chooses the compilers"),
    ("CMAKE_SYSTEM_*", "the pipeline chooses the target"),
    ("CMAKE_PROJECT_*INCLUDE*", "a change to the project is a patch"),
    ("CMAKE_GENERATOR*", "every build uses ninja"),
    ("CMAKE_MAKE_PROGRAM", "every build uses ninja"),
)
"""Options that the pipeline sets itself, and where a recipe says what it wants of them."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SWITCH = {
    "ON": {"on", "true", "yes", "y", "t", "onn", "enable", "enabled"},
    "OFF": {"off", "false", "no", "n", "f", "of", "offf", "disable", "disabled"},
}
_SLIPS = ("true", "false", "enabled", "disabled")
_NEAR = 0.75
_FLAGS = (
    ("--split-compile", "makes nvcc's output differ from run to run", "leave it out"),
    (
        "-march=native",
        "compiles for the machine that builds",
        "name the instruction sets by the project's own options",
    ),
    (
        "-arch=native",
        "compiles for the GPU of the machine that builds",
        "name the architectures in toolchain.architectures",
    ),
    (
        "-mtune=native",
        "compiles for the machine that builds",
        "name the instruction sets by the project's own options",
    ),
    (
        "-mcpu=native",
        "compiles for the machine that builds",
        "name the instruction sets by the project's own options",
    ),
)


def option_findings(key: str, options: Sequence[CMakeOption], source: Source) -> Iterator[Finding]:
    """Find what is wrong with the options of one cmake call, or of a variant."""
    for option in options:
        path = f"{key}.{option.name}"
        fault = _name_fault(option.name)
        if fault:
            yield Finding(path, *fault)
        yield from placeholder_findings(path, option.value, source)
        yield from _value(path, option)
        if option.unused_ok:
            yield from prose(f"{path}.unused_ok", option.unused_ok)


def _name_fault(name: str) -> tuple[str, str] | None:
    for pattern, hint in OWNED:
        if fnmatchcase(name, pattern):
            return "is the pipeline's own option", hint
    if _NAME.fullmatch(name):
        return None
    bare = name.removeprefix("-D").partition(":")[0].partition("=")[0]
    hint = f"write {shown(bare)}" if _NAME.fullmatch(bare) else "letters, digits and _"
    return f"{quoted(name)} is not the name of an option", hint


def _value(path: str, option: CMakeOption) -> Iterator[Finding]:
    value = option.value
    for flag, why, hint in _FLAGS:
        if flag in value.lower():
            yield Finding(path, f"{flag} {why}", hint)
            return
    native = option.name.endswith("_NATIVE")
    if value.lower() == "native" or (native and value not in {"OFF", "0"} and _switch(value) != "OFF"):
        yield Finding(
            path, f"{quoted(value)} compiles for the machine that builds", _native_hint(option.name)
        )
        return
    switch = "OFF" if native and value == "0" else _switch(value)
    if switch:
        yield Finding(path, f"unknown value {quoted(value)}", f"write {switch}")
        return
    if value.startswith("-D"):
        yield Finding(path, f"{quoted(value)} is an option, not a value", "write each option as NAME: value")
        return
    rest = without(value).replace("$ORIGIN", "")
    yield from plain(path, rest, also=", {placeholders} and $ORIGIN", whole=value)


def _native_hint(name: str) -> str:
    return "write OFF" if name.endswith("_NATIVE") else "name it"


def _switch(value: str) -> str:
    """Return ON or OFF for a value that looks like another spelling of it."""
    word = value.lower()
    if value in _SWITCH or not word.isascii() or not word.isalpha():
        return ""
    for switch, spellings in _SWITCH.items():
        if word in spellings or word == switch.lower():
            return switch
    slip = max(_SLIPS, key=lambda known: SequenceMatcher(None, word, known).ratio())
    near = SequenceMatcher(None, word, slip).ratio() >= _NEAR or sorted(word) == sorted(slip)
    if not near:
        return ""
    return "ON" if slip in _SWITCH["ON"] else "OFF"
