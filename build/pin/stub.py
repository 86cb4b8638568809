"""The driver stub: C source of a libcuda that has every function of cuda.h and answers CUDA_ERROR_STUB_LIBRARY. Pure."""

import re

__all__ = ["stub_source"]

_DECLARED = re.compile(r"^\s*CUresult\s+CUDAAPI\s+(cu[A-Z]\w*)\s*\(", re.MULTILINE)
_RENAMED = re.compile(
    r"^\s*#\s*define\s+(cu[A-Z]\w*)\s+(?:__CUDA_API_PT(?:DS|SZ)\(\s*)?(cu[A-Z]\w*?)\s*\)?\s*$", re.MULTILINE
)

STUB_LIBRARY = 34
"""CUDA_ERROR_STUB_LIBRARY: the answer of NVIDIA's own stub, "the CUDA driver that the application has loaded is a stub"."""


def stub_source(cuda_h: str) -> str:
    """Write the C source for a stub of every driver function that `cuda_h`, the text of cuda.h, declares.

    cuda.h renames many functions to their current version (`#define cuMemAlloc cuMemAlloc_v2`); both names are defined,
    so that code compiled against this or an older header links.

    Raises:
        ValueError: the text declares no driver function; it is not cuda.h.
    """
    names = set(_DECLARED.findall(cuda_h))
    names |= {name for pair in _RENAMED.findall(cuda_h) for name in pair if not name.startswith("cuda")}
    if not names:
        message = "no driver function is declared: not the text of cuda.h"
        raise ValueError(message)
    lines = ["/* Generated from cuda.h: a stand-in for the driver's libcuda.so.1 at link time. */"]
    lines += [f"int {name}(void) {{ return {STUB_LIBRARY}; }}" for name in sorted(names)]
    return "\n".join(lines) + "\n"
