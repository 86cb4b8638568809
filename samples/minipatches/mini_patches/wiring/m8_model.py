from ..text import Edit, Patcher
from .places import answer, target


def apply() -> tuple[str, str]:
    return answer(
        Patcher(
            target_file=target("limits.py"),
            marker="M8 size",
            sub_patches=[
                Edit("m8_import", "import os\n", "import math\nimport os\n"),
                Edit("m8_size", "def size(batch: int) -> int:\n", "def size(batch: int = 1) -> int:\n"),
            ],
        )
    )
