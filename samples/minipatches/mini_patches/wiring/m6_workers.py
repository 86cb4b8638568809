from ..text import Edit, Patcher
from .places import answer, target


def apply() -> tuple[str, str]:
    from ...platforms import current

    if current() != "cuda":
        return "skipped", f"not for the platform {current()}"
    return answer(
        Patcher(
            target_file=target("limits.py"),
            marker="M6 workers",
            sub_patches=[Edit("m6_workers", "WORKERS = 1\n", "WORKERS = 4\n", required=True)],
        )
    )
