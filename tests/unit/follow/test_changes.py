"""What belongs to which part of the image."""

import pytest

from build.follow.changes import group_of
from build.follow.lineage import same_repository


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("ggml/src/ggml-cuda/fattn.cu", "kernels"),
        ("ggml/src/ggml-cuda/template-instances/mmq.cuh", "kernels"),
        ("ggml/src/ggml-cuda/CMakeLists.txt", "kernels"),
        ("cuda/matvec-instance.cu.in", "kernels"),
        ("common/arg.cpp", "server arguments"),
        ("common/args.cpp", "server arguments"),
        ("CMakeLists.txt", "build files"),
        ("cmake/build-info.cmake", "build files"),
        (".gitmodules", ""),
        ("tools/server/server.cpp", "other"),
        ("src/llama-model.cpp", "other"),
        ("tests/test-backend-ops.cpp", ""),
        ("tools/server/tests/unit.py", ""),
        ("docs/build.md", ""),
        (".github/workflows/ci.yml", ""),
        ("README.md", ""),
    ],
)
def test_groups(path: str, group: str) -> None:
    assert group_of(path) == group


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://github.com/A/b", "https://github.com/a/b.git", True),
        ("https://github.com/a/b/", "https://github.com/a/b", True),
        ("https://github.com/a/b", "https://github.com/a/c", False),
    ],
)
def test_addresses_of_one_repository(one: str, other: str, *, same: bool) -> None:
    assert same_repository(one, other) is same
