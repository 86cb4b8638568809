def value(word: str) -> str | None:
    if word == "null":
        return None
    return word
