import os


def apply() -> tuple[str, str]:
    if os.environ.get("MINI_ENABLE_M7") != "1":
        return "skipped", "opt-in: set MINI_ENABLE_M7=1"
    return "applied", "defaults noted"
