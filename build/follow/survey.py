"""What a source tree says about how it is built: its CMake files read as text, never run. Pure."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Option", "Survey", "is_cmake", "is_licence", "is_parser", "survey"]

_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|#[^\n]*')
_OPTION = re.compile(r'\boption\s*\(\s*([A-Za-z]\w*)\s+"([^"]*)"(?:\s+([^\s)]+))?\s*\)')
_CACHE = re.compile(
    r'\bset\s*\(\s*([A-Za-z]\w*)\s+("[^"]*"|[^\s)]+)\s+CACHE\s+(?:STRING|BOOL|PATH|FILEPATH)\s+"([^"]*)"'
)
_NOT_DEFINED = re.compile(r"\bNOT\s+DEFINED\s+([A-Z][A-Z0-9_]*_BUILD_(?:NUMBER|COMMIT))\b")
_SUBDIRECTORY = re.compile(r"\badd_subdirectory\s*\(\s*([A-Za-z0-9_./-]+)")
_PROJECT = re.compile(r"\bproject\s*\(", re.IGNORECASE)
_EXECUTABLE = re.compile(r"\badd_executable\s*\(\s*(\$\{TARGET\}|[A-Za-z][A-Za-z0-9_.-]*)")
_TARGET = re.compile(r"\bset\s*\(\s*TARGET\s+([A-Za-z][A-Za-z0-9_.-]*)\s*\)")
_HOST = re.compile(r"\b([A-Z][A-Z0-9]*_ARG_HOST)\b")
_ASIDE = frozenset(
    (
        "bindings",
        "deps",
        "docs",
        "example",
        "examples",
        "external",
        "pocs",
        "test",
        "tests",
        "third_party",
        "vendor",
    )
)
"""Folders whose projects are not what a fork is about."""
_OTHER_GPUS = re.compile(r"_(HIP|MUSA|METAL|SYCL|VULKAN|OPENCL|HEXAGON|WEBGPU)(_|$)")
_GGML = "ggml/src/"
"""Where ggml keeps a project for every other GPU's compiler."""
_LICENCES = (
    ("Apache License", "Apache-2.0"),
    ("GNU AFFERO", "AGPL"),
    ("GNU LESSER", "LGPL"),
    ("GNU GENERAL", "GPL"),
    ("Mozilla Public License", "MPL-2.0"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Redistribution and use in source and binary forms", "BSD"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One -D option that a CMake file declares."""

    name: str
    help: str
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What could be found out."""

    has_project: bool
    """There is a CMake project at the root."""
    options: tuple[Option, ...]
    """Of the project at the root and of what it adds, in the order of the files."""
    projects: tuple[str, ...]
    """Folders of further CMake projects that the one at the root does not add."""
    servers: tuple[str, ...]
    """Executables whose name says server, the likeliest first."""
    links_driver: bool
    """Some CMake file names the driver's library."""
    is_llama: bool
    """Laid out as llama.cpp and its forks are."""
    host_variable: str
    """Environment variable for the address to listen on."""
    licence: str
    """SPDX-like name; empty where none was recognised."""


def is_cmake(path: str) -> bool:
    """Say whether a file is read for what it says about the build."""
    return path.rpartition("/")[2] == "CMakeLists.txt" or path.endswith(".cmake")


def is_licence(path: str) -> bool:
    """Say whether a file is the project's licence."""
    return "/" not in path and re.match(r"(?i)(licen[cs]e|copying)", path) is not None


def is_parser(path: str) -> bool:
    """Say whether a file is, by its name, the one that reads the command line."""
    return re.fullmatch(r"(.*/)?args?\.(cpp|cc)", path) is not None


def survey(paths: Sequence[str], texts: Mapping[str, str]) -> Survey:
    """Survey a tree. `texts` holds the files for which is_cmake, is_licence or is_parser is true."""
    cmake = {path: _bare(text) for path, text in texts.items() if is_cmake(path)}
    reached = _reached(cmake)
    ours = {path: cmake[path] for path in reached}
    return Survey(
        has_project="CMakeLists.txt" in cmake,
        options=tuple(_options(ours)),
        projects=tuple(sorted(_projects(cmake, reached))),
        servers=_servers(ours),
        links_driver=any(re.search(r"CUDA::cuda_driver|-lcuda\b", text) for text in cmake.values()),
        is_llama="ggml/CMakeLists.txt" in paths and any(path.startswith("common/arg") for path in paths),
        host_variable=next((found[1] for text in texts.values() if (found := _HOST.search(text))), ""),
        licence=_licence("".join(texts[path] for path in sorted(texts) if is_licence(path))),
    )


def _bare(text: str) -> str:
    """Take comments out; a # in quotes is none."""
    return _COMMENT.sub(lambda match: match[0] if match[0].startswith('"') else "", text)


def _reached(cmake: Mapping[str, str]) -> tuple[str, ...]:
    """List the CMakeLists.txt that the one at the root adds by name, itself included."""
    queue, seen = ["CMakeLists.txt"], {}
    while queue:
        path = queue.pop(0)
        if path in seen or path not in cmake:
            continue
        seen[path] = True
        folder = posixpath.dirname(path)
        queue += [
            posixpath.normpath(posixpath.join(folder, name, "CMakeLists.txt"))
            for name in _SUBDIRECTORY.findall(cmake[path])
        ]
    return tuple(seen)


def _options(files: Mapping[str, str]) -> Iterator[Option]:
    seen = set()
    for text in files.values():
        found = [(match.start(), match[1], match[2], match[3] or "OFF") for match in _OPTION.finditer(text)]
        found += [(match.start(), match[1], match[3], match[2].strip('"')) for match in _CACHE.finditer(text)]
        found += [(match.start(), match[1], "", "") for match in _NOT_DEFINED.finditer(text)]
        for _, name, words, default in sorted(found):
            if name not in seen and not _OTHER_GPUS.search(name):
                seen.add(name)
                yield Option(name=name, help=" ".join(words.split()), default=default)


def _projects(cmake: Mapping[str, str], reached: Sequence[str]) -> Iterator[str]:
    for path, text in cmake.items():
        folder = posixpath.dirname(path)
        aside = folder.startswith(_GGML) or _ASIDE.intersection(folder.lower().split("/"))
        if folder and not aside and path not in reached and path.endswith(".txt") and _PROJECT.search(text):
            yield folder


def _servers(files: Mapping[str, str]) -> tuple[str, ...]:
    found = set()
    for text in files.values():
        for match in _EXECUTABLE.finditer(text):
            # llama.cpp says set(TARGET ...) before each of its executables.
            set_before = _TARGET.findall(text, 0, match.start())
            name = set_before[-1] if match[1] == "${TARGET}" and set_before else match[1]
            if "server" in name and "$" not in name and "test" not in name:
                found.add(name)
    return tuple(
        sorted(
            found, key=lambda name: (name != "llama-server", not name.endswith("-server"), len(name), name)
        )
    )


def _licence(text: str) -> str:
    flat = " ".join(text.split())
    return next((name for mark, name in _LICENCES if mark in flat), "")
