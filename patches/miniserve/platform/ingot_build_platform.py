"""A platform for the build alone: patches that ask for a GPU are applied where there is none."""


def name() -> str:
    """Answer as a host with a GPU does."""
    return "cuda"
