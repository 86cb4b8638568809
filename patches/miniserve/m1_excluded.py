"""Stands in the place of the set's patch M1, which has no switch: the recipe excludes it and says why."""


def apply() -> tuple[str, str]:
    """Answer as the set's own modules do, and change nothing."""
    return "skipped", "excluded by the image's recipe"
