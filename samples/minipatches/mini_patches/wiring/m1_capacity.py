"""Two files, one answer: applied as soon as one of them was patched."""

from ..text import Edit, Patcher
from .places import answer, target


def apply() -> tuple[str, str]:
    cache = Patcher(
        target_file=target("core/cache.py"),
        marker="M1 capacity, cache",
        sub_patches=[
            Edit(
                "m1_groups",
                "class Cache:\n    groups: list[Group]\n",
                "def capacity_groups(groups):\n"
                "    return [group for group in groups if group.scales]\n\n\n"
                "class Cache:\n    groups: list[Group]\n",
                required=True,
            )
        ],
    )
    scheduler = Patcher(
        target_file=target("core/scheduler.py"),
        marker="M1 capacity, scheduler",
        sub_patches=[
            Edit(
                "m1_import",
                "from .cache import Cache\n",
                "from .cache import Cache, capacity_groups\n",
                required=True,
            ),
            Edit("m1_call", "len(cache.groups)", "len(capacity_groups(cache.groups))", required=True),
        ],
    )
    in_cache, why_cache = answer(cache)
    in_scheduler, why_scheduler = answer(scheduler)
    words = f"cache={in_cache}({why_cache or 'ok'}), scheduler={in_scheduler}({why_scheduler or 'ok'})"
    if "failed" in {in_cache, in_scheduler}:
        return "failed", words
    return ("applied" if "applied" in {in_cache, in_scheduler} else "skipped"), words
