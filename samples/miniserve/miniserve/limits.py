WORKERS = 1


def size(batch: int) -> int:
    return max(1, batch)
