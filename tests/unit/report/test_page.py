"""The page as values: verdict, changes, what is inside, patches."""

from dataclasses import replace

import pytest

from build.image.model import Layer
from build.plan.model import ImagePlan
from build.recipe.refs import Digest
from build.report.detail import Detail
from build.report.inside import drawn, layer_rows, libraries, size
from build.report.ledger import FileRow
from build.report.page import Page, Standing
from build.settings import Namespace
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import (
    BUILT,
    DETAILS,
    DIFFERENCE,
    NAMES,
    PLAN,
    RECEIPT,
    RUNNING,
    STATIC,
    page,
    report,
)

PASSED = len(NAMES) - 1
"""All but the one on a GPU."""
OTHER = Digest(f"sha256:{'9' * 64}")
FAILED = CheckResult(
    name="closure", outcome=Outcome.FAILED, reason="/app/a needs b: it is nowhere in the image"
)
UNHEALTHY = CheckResult(name="tokens", outcome=Outcome.SKIPPED, reason="the recipe names no test model")


@pytest.mark.parametrize(
    ("changed", "standing", "sentence"),
    [
        (report(), Standing.PASSED, f"{PASSED} passed, 1 skipped"),
        (
            report(FAILED),
            Standing.FAILED,
            f"closure: failed, so it cannot be pushed (1 failed, {PASSED - 1} passed, 1 skipped)",
        ),
        (
            report(without=(*RUNNING, "gpu")),
            Standing.INCOMPLETE,
            f"{len(STATIC)} passed, {len(RUNNING) + 1} not run; a push also needs {', '.join(RUNNING)}",
        ),
        (report(UNHEALTHY), Standing.INCOMPLETE, f"{PASSED - 1} passed, 2 skipped; a push also needs tokens"),
        (None, Standing.UNTESTED, "no smoke test of this image has ended: it cannot be pushed"),
        (
            replace(report(), digest=OTHER),
            Standing.UNTESTED,
            "no smoke test of this image has ended: it cannot be pushed",
        ),
    ],
)
def test_the_verdict(changed: object, standing: Standing, sentence: str) -> None:
    found = page(report=changed)
    assert (found.standing, found.sentence) == (standing, sentence)


def test_a_receipt_of_another_image_is_none() -> None:
    assert page(receipt=replace(RECEIPT, digest=OTHER)).refs == ()
    assert page().refs == tuple(RECEIPT.refs)


def test_changes_are_grouped_in_the_order_of_their_areas() -> None:
    found = page(difference=replace(DIFFERENCE, changes=DIFFERENCE.changes[::-1]))
    assert [group.area.value for group in found.changes] == ["upstream", "flags", "size"]
    assert sum(len(group.changes) for group in found.changes) == len(DIFFERENCE.changes)
    assert page(difference=None).changes == ()


def test_gpu_code_and_what_was_not_promised() -> None:
    (row,) = page().gpu
    assert (row.target, row.entries, row.compressed, row.promised) == ("SASS sm_120a", 138, 120, True)
    detail = {**DETAILS["gpu_code"], "promised": ["sm_90"]}
    other = CheckResult(name="gpu_code", outcome=Outcome.FAILED, reason="holds SASS sm_120a", detail=detail)
    assert not page(report=report(other)).gpu[0].promised
    assert [row.targets for row in page().vendor] == [("sm_100", "sm_120", "sm_90"), ()]


def test_the_tree_of_libraries() -> None:
    assert drawn(page().libraries).splitlines() == [
        "/app/llama-server",
        "├─ libllama.so.0 → /app/libllama.so.0.9.4",
        "│  ├─ libggml-base.so.0 → /app/libggml-base.so.0.9.4",
        "│  │  └─ of the base: libc.so.6",
        "│  ├─ libggml-cuda.so.0 → /app/libggml-cuda.so.0.9.4",
        "│  │  ├─ libcublas.so.13",
        "│  │  │  └─ of the base: libc.so.6",
        "│  │  ├─ libggml-base.so.0 → /app/libggml-base.so.0.9.4  (see above)",
        "│  │  ├─ libcuda.so.1  (the driver's)",
        "│  │  └─ of the base: libc.so.6",
        "│  └─ of the base: libc.so.6",
        "└─ of the base: libc.so.6",
        "/app/libggml-cpu-haswell.so",
        "├─ libggml-base.so.0 → /app/libggml-base.so.0.9.4  (see above)",
        "└─ of the base: libc.so.6",
    ]


def test_a_missing_library_is_in_the_tree() -> None:
    closure = {"tree": {"path": "/app/x", "needs": {"libgone.so.0": {"path": "", "from": "missing"}}}}
    assert drawn(libraries(Detail(closure), "/app")) == "/app/x\n└─ libgone.so.0  (MISSING)"


def test_a_tree_without_an_end_is_cut() -> None:
    endless: dict[str, object] = {"path": "/app/x"}
    endless["needs"] = {"x": endless}
    assert len(drawn(libraries(Detail({"tree": endless}), "/app")).splitlines()) == 41


def test_layers_by_what_they_are_for() -> None:
    rows = page().layers
    assert [row.what for row in rows] == [
        "base", "CUDA libraries", "libraries with kernels", "server and the rest", "WORKDIR /app",
    ]  # fmt: skip
    assert sum(row.share for row in rows) == pytest.approx(100)
    assert rows[2].start == pytest.approx(rows[0].share + rows[1].share)
    assert [(part.path, part.layer) for part in page().biggest][:2] == [
        ("/app/libcublasLt.so.13", "CUDA libraries"),
        ("/app/libggml-cuda.so.0.9.4", "libraries with kernels"),
    ]


def test_a_base_of_several_layers_and_one_of_a_foreign_build() -> None:
    def layer(what: str) -> Layer:
        return Layer(digest=OTHER, diff_id=OTHER, size=10, what=what)

    known = layer_rows((layer("a"), layer("b"), layer("COPY /collect/links/ / # buildkit")))
    assert [row.what for row in known] == ["base", "base", "links"]
    assert [row.what for row in layer_rows((layer("RUN x"), layer("COPY y")))] == ["RUN x", "COPY y"]
    assert layer_rows(()) == ()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (43_423_129, "43.4 MB"), (2_670_000_000, "2.67 GB"), (5e12, "5000.00 GB")],
)  # fmt: skip
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_patches_with_what_applying_them_did() -> None:
    first, second = page().patches
    assert (first.outcome, first.said, first.foundational) == ("applied", "clean", True)
    assert first.files[0] == FileRow(path="common/speculative.cpp", before="a1" * 20, after="b2" * 20)
    assert (second.said, second.identity[:12]) == ("offset 12", "77e0b1c2d3e4")
    unproven = replace(PLAN, pin=replace(PLAN.pin, source=replace(PLAN.pin.source, patches=())))
    assert {(row.outcome, row.expected) for row in page(plan=unproven).patches} == {("not proven", False)}


def of_repository(found: Page) -> str:
    return found.usage.docker.split()[found.usage.docker.split().index("\\") + 4]


def variant(plan: ImagePlan) -> ImagePlan:
    return replace(plan, variant="no-vmm", tag=plan.tag.replace("sm120a-", "sm120a-no-vmm-"))


def test_where_the_image_is_would_be_or_might_be() -> None:
    tail = f":{PLAN.tag}@{BUILT.digest}"
    assert of_repository(page()) == f"registry.example.org/me/beellama-cpp{tail}"
    assert page().usage.pushed
    unpushed = page(receipt=None, namespace=Namespace(host="localhost:5000", path="ns"))
    assert of_repository(unpushed) == f"localhost:5000/ns/beellama-cpp{tail}"
    assert not unpushed.usage.pushed
    nowhere = page(receipt=None, namespace=None)
    assert of_repository(nowhere) == f"registry.example.org/namespace/beellama-cpp{tail}"
    assert page(plan=variant(PLAN)).name == "beellama+no-vmm"
