from ..text import Edit, Patcher
from .places import answer, target


def apply() -> tuple[str, str]:
    return answer(
        Patcher(
            target_file=target("limits.py"),
            marker="M4 floor",
            sub_patches=[Edit("m4_floor", "return batch", "return max(1, batch)", required=True)],
            upstream_drift_markers=["return max(1, batch)"],
        )
    )
