from ..text import Edit, Patcher
from .places import answer, target


def apply() -> tuple[str, str]:
    return answer(
        Patcher(
            target_file=target("parsers.py"),
            marker="M2 none beside null",
            sub_patches=[
                Edit("m2_null", 'if word == "null":', 'if word in {"null", "none"}:', required=True)
            ],
        )
    )
