"""The sample broken for real, one thing at a time; each break is refused, at its station, in its own words."""

from dataclasses import dataclass, field

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

TEMPLATE = "dockerfiles/llama-cpp.Dockerfile.j2"
RECIPE = "recipes/minifork.yaml"
FIX = 'ENV LDFLAGS="-Wl,-rpath-link,/opt/driver-stub"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    name: str
    edits: tuple[tuple[str, str, str], ...]
    says: tuple[str, ...]
    check: str = ""
    """The smoke check that fails; empty: the build does."""
    variant: str = ""
    words: tuple[str, ...] = field(default=())


BREAKS = (
    Break(
        name="link fix removed",
        edits=((TEMPLATE, FIX, 'ENV LDFLAGS=""'),),
        says=(
            "stage probe",
            "does not link against a library that needs libcuda.so.1",
            "hint: set link_fix: stub-rpath-link in the recipe",
        ),
    ),
    Break(
        name="option renamed upstream",
        edits=((RECIPE, 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_TRAP_RENAMED_OPTION: "ON"'),),
        says=(
            "stage configure",
            "the project does not know the option MINI_CUDA",
            "no CUDA source would be compiled",
        ),
    ),
    Break(
        name="download while configuring",
        edits=((RECIPE, 'MINI_BUILD_WEBUI: "OFF"', 'MINI_BUILD_WEBUI: "ON"'),),
        says=("stage configure", "assets.minifork.invalid", "MINI_BUILD_WEBUI"),
    ),
    Break(
        name="library not installed",
        edits=((RECIPE, 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_TRAP_SKIP_INSTALL: "ON"'),),
        check="closure",
        says=("libmini-common.so.0",),
    ),
    Break(
        name="stub copied in",
        edits=(
            (
                "dockerfiles/scripts/collect.sh",
                "chmod -R u=rwX",
                "cp /opt/driver-stub/libcuda.so.1 /collect/server/\nchmod -R u=rwX",
            ),
        ),
        check="driver_boundary",
        says=("libcuda.so.1",),
    ),
    Break(
        name="compiled for another GPU",
        edits=(
            (TEMPLATE, 'ENV CUDAARCHS="{{ architectures | join(";") }}"', 'ENV CUDAARCHS="120-real"'),
            (RECIPE, 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "1"'),
        ),
        check="gpu_code",
        says=("holds SASS sm_120 where sm_120a is meant, the recipe promises 120a-real",),
    ),
    Break(
        name="no-vmm without effect",
        edits=(
            (RECIPE, 'MINI_CUDA_NO_VMM: "ON"', 'MINI_CUDA_NO_VMM: "OFF"'),
            (TEMPLATE, 'ENV LDFLAGS=""', FIX),
        ),
        variant="no-vmm",
        check="link_facts",
        says=("cuMem", "libmini-cuda"),
    ),
    Break(
        name="promised flag removed",
        edits=((RECIPE, 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_TRAP_REJECT_FLAG: "ON"'),),
        check="arguments",
        says=(
            "the promised `--draft-max 8` is refused, --draft-max is listed by --help and rejected by the parser",
            "the argument has been removed",
        ),
    ),
    Break(
        name="host residue",
        edits=(
            (
                TEMPLATE,
                "USER {{ user }}",
                "COPY <<EOF /etc/resolv.conf\nnameserver 192.0.2.1\nEOF\nUSER {{ user }}",
            ),
        ),
        check="residue",
        says=("etc/resolv.conf",),
    ),
    Break(
        name="server that ignores the patch",
        edits=((RECIPE, "expect: n_predict_unlimited", "expect: n_predict_infinite"),),
        check="endpoints",
        says=("GET /props does not hold 'n_predict_infinite'",),
    ),
)


@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: one.name.replace(" ", "-"))
def test_refused(broken: Break, good: Checkout, checkout: Checkout, nothing_left: None) -> None:
    for path, old, new in broken.edits:
        checkout.edit(path, old, new)
    words = ("--variant", broken.variant) if broken.variant else ()
    ran = checkout.run("image", "minifork", *words)
    assert ran.code == 1, ran.err
    name = f"minifork+{broken.variant}" if broken.variant else "minifork"
    if broken.check:
        result = checkout.check(broken.check, name)
        assert result["outcome"] == "failed"
        said = result["reason"]
        assert broken.check in ran.err
        assert checkout.run("push", "minifork", *words).code == 1
    else:
        said = ran.err
        assert not (checkout.out / name / "image.json").exists()
        assert checkout.run("push", "minifork", *words).code == 2
    for text in broken.says:
        assert text in said
    assert not (checkout.out / name / "push.json").exists()


def test_the_link_fix_cannot_be_forgotten_in_the_second_call(good: Checkout, checkout: Checkout) -> None:
    """It is said once in the file, and a step has no way to say another."""
    dockerfile = (good.out / "minifork" / "Dockerfile").read_text()
    assert dockerfile.count("LDFLAGS=") == 1
    assert dockerfile.index("LDFLAGS=") < dockerfile.index("AS probe")
    checkout.edit(
        RECIPE, "MINI_ROOT: /build/main", 'MINI_ROOT: /build/main\n      CMAKE_EXE_LINKER_FLAGS: "-lm"'
    )
    ran = checkout.run("check")
    assert ran.code == 2
    assert "steps.0.cmake.CMAKE_EXE_LINKER_FLAGS" in ran.err


def test_push_needs_a_registry_that_answers(good: Checkout) -> None:
    receipt = (good.out / "minifork" / "push.json").read_text()
    ran = good.run("push", "minifork", INGOT_REGISTRY="127.0.0.1:9/nowhere")
    assert ran.code == 4, ran.err
    assert "127.0.0.1:9" in ran.err
    assert (good.out / "minifork" / "push.json").read_text() == receipt
