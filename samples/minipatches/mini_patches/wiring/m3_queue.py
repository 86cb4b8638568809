"""What an edit without effect looks like: it reports success and has nothing written."""


def apply() -> tuple[str, str]:
    return "applied", "queue of 64"
