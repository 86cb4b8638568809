from .cache import Cache


class Scheduler:
    waiting: list[int] = []

    def share(self, cache: Cache) -> int:
        return len(cache.groups)

    def next(self) -> int | None:
        return self.waiting[0] if self.waiting else None
