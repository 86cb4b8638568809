def apply() -> tuple[str, str]:
    from ...core.scheduler import Scheduler

    def by_age(self):
        return min(self.waiting, default=None)

    Scheduler.next = by_age
    return "applied", "method replaced in this process"
