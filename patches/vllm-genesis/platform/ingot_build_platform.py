"""A platform plugin for the build alone: patches that ask for an NVIDIA GPU are applied where there is none.

Importable while the patch set runs, never in the image, where it would hide the real GPU.
"""


def register() -> str:
    """Name the platform; vLLM imports it when it is asked for."""
    return "ingot_build_platform_cuda.BuildPlatform"
