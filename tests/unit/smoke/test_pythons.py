"""Images of Python packages: each static check on a good one, and on one that is broken in one thing."""

from pathlib import Path

import pytest

from build.recipe.model import Driver
from build.smoke.model import Outcome
from tests.layouts import Tree, elf
from tests.unit.smoke.pythons import SCRIPT, SITE, blob, findings, ledger, package, results

CUBIN = b"\x7fELF" + b"\2\1" + b"\0" * 12 + (190).to_bytes(2, "little") + b"\0" * 100


def test_a_good_image_passes_everything(tmp_path: Path) -> None:
    found = results(tmp_path)
    assert {check.name: check.reason for check in found.values() if check.outcome is not Outcome.PASSED} == {}


# closure: what a package that is imported before has loaded


def test_what_torch_has_loaded_need_not_be_found(tmp_path: Path) -> None:
    detail = results(tmp_path, names=("closure",))["closure"].detail
    torch = f"/{SITE}/torch/lib"
    assert detail["resident"] == {
        f"/{SITE}/serve/_C.so": {
            "libmini-base.so.0": f"{torch}/libmini-base.so.0",
            "libcudart.so.13": f"{torch}/libcudart.so.13",
        }
    }
    assert detail["injected"] == ["libcuda.so.1"]


def test_a_library_of_a_package_that_is_not_needed_is_as_good_as_missing(tmp_path: Path) -> None:
    alone = package(
        "serve",
        "serve/_C.so",
        requires=("setuptools",),
        entry_points="[console_scripts]\nserver = serve:main\n",
    )
    assert findings(tmp_path, "closure", alone) == [
        f"/{SITE}/serve/_C.so needs libmini-base.so.0: it is nowhere in the image",
        f"/{SITE}/serve/_C.so needs libcudart.so.13: it is nowhere in the image",
    ]


def test_a_library_that_torch_lost_is_missed_by_everybody(tmp_path: Path) -> None:
    gone: Tree = {f"{SITE}/torch/lib/.wh.libcudart.so.13": b""}
    assert findings(tmp_path, "closure", gone) == [
        f"/{SITE}/serve/_C.so needs libcudart.so.13: it is nowhere in the image",
        f"/{SITE}/torch/lib/libtorch_cuda.so needs libcudart.so.13: it is nowhere in the image",
    ]


def test_a_function_that_no_package_provides_is_named(tmp_path: Path) -> None:
    broken: Tree = {f"{SITE}/serve/_C.so": elf("cuda-missing.so")}
    (finding,) = findings(tmp_path, "closure", broken)
    assert finding.startswith(f"/{SITE}/serve/_C.so calls ")
    assert finding.endswith(", which nothing that it loads provides")


def test_an_extension_for_another_python_is_never_loaded(tmp_path: Path) -> None:
    def shipped(tag: str) -> Tree:
        name = f"serve/_D.{tag}-x86_64-linux-gnu.so"
        files = ("serve/_C.so", name)
        return {
            f"{SITE}/{name}": elf("cuda-missing.so"),
            **package("serve", *files, requires=("torch",), entry_points=SCRIPT),
        }

    for tag in ("cpython-313", "cpython-311t", "cpython-310"):
        found = results(tmp_path / tag, shipped(tag), names=("closure",))["closure"]
        assert found.outcome is Outcome.PASSED, found.reason
        assert found.detail["for_another_python"] == [f"/{SITE}/serve/_D.{tag}-x86_64-linux-gnu.so"]
    own = f"/{SITE}/serve/_D.cpython-311-x86_64-linux-gnu.so"
    (finding,) = findings(tmp_path / "own", "closure", shipped("cpython-311"))
    assert finding.startswith(f"{own} calls ")


def test_a_plugin_that_its_package_does_without_is_noted(tmp_path: Path) -> None:
    pool = f"{SITE}/numba/np/ufunc/tbbpool.cpython-311-x86_64-linux-gnu.so"
    needs_tbb = elf("cuda-novmm.so").data.replace(b"libmini-base.so.0", b"libtbb.so.12\0\0\0\0\0")
    found = results(
        tmp_path,
        {pool: needs_tbb, **package("numba", "numba/tbb.so", requires=("torch",))},
        names=("closure",),
    )["closure"]
    # Of the two that it misses, numba does without one.
    assert found.reason == f"/{pool} needs libcudart.so.13: it is nowhere in the image"
    assert found.detail["unloadable"] == {f"/{pool}": {"libtbb.so.12": "numba takes another threading layer"}}


def test_files_of_gpu_code_are_passed_over(tmp_path: Path) -> None:
    found = results(tmp_path, {f"{SITE}/kernels/a.cubin": CUBIN}, names=("closure",))
    assert found["closure"].outcome is Outcome.PASSED
    assert (
        found["layout"].detail["elf_files"]
        == results(tmp_path, names=("closure",))["layout"].detail["elf_files"]
    )


def test_a_package_may_import_torch_without_declaring_it(tmp_path: Path) -> None:
    audio = f"{SITE}/torchaudio/lib/_torchaudio.abi3.so"
    extension = {audio: elf("cuda-sm120a.so"), **package("torchaudio", "torchaudio/lib/_torchaudio.abi3.so")}
    assert findings(tmp_path, "closure", extension) == []
    other = {audio: elf("cuda-sm120a.so"), **package("audio", "torchaudio/lib/_torchaudio.abi3.so")}
    assert len(findings(tmp_path, "closure", other)) == 2


def test_a_plugin_finds_what_its_own_package_has_loaded(tmp_path: Path) -> None:
    files = ("own/_C/libmini-base.so.0", "own/_C/libcudart.so.13", "own/plugins/p.so")
    own = {
        f"{SITE}/own/_C/libmini-base.so.0": elf("libmini-base.so.0"),
        f"{SITE}/own/_C/libcudart.so.13": elf("libcudart.so.13"),
        f"{SITE}/own/plugins/p.so": elf("cuda-sm120a.so"),
        **package("own", *files),
    }
    assert findings(tmp_path, "closure", own) == []


def test_run_paths_of_wheels_are_noted_and_those_to_stubs_refused(tmp_path: Path) -> None:
    found = results(tmp_path, {f"{SITE}/x/a.so": elf("cuda-runpath-build.so")}, names=("driver_boundary",))
    assert found["driver_boundary"].reason == ""
    assert (
        f"/{SITE}/x/a.so: the RUNPATH element '/build/bin' leads to a folder of the build"
        in (found["driver_boundary"].detail["noted"])
    )
    (finding,) = findings(tmp_path, "driver_boundary", {f"{SITE}/x/a.so": elf("cuda-runpath-stubs.so")})
    assert finding.endswith("leads to stubs")


# gpu_code: the promised architectures are among those of the wheels


@pytest.mark.parametrize("architecture", ["120-real", "120a-real", "120f-real"])
def test_any_code_for_the_card_will_do(tmp_path: Path, architecture: str) -> None:
    assert findings(tmp_path, "gpu_code", architectures=(architecture,)) == []


def test_other_architectures_may_be_there_too(tmp_path: Path) -> None:
    more = {
        f"{SITE}/serve/_old.so": elf("cuda-sm90.so"),
        **package(
            "serve",
            "serve/_C.so",
            "serve/_old.so",
            requires=("torch",),
            entry_points="[console_scripts]\nserver = s:m\n",
        ),
    }
    assert findings(tmp_path, "gpu_code", more) == []


def test_a_server_without_code_for_the_card(tmp_path: Path) -> None:
    assert findings(tmp_path, "gpu_code", {f"{SITE}/serve/_C.so": elf("cuda-sm90.so")}) == [
        "the package serve has no code for sm_120, the recipe promises 120-real (sm_120); it has sm_90"
    ]


def test_a_torch_without_code_for_the_card(tmp_path: Path) -> None:
    assert findings(tmp_path, "gpu_code", {f"{SITE}/torch/lib/libtorch_cuda.so": elf("cuda-sm90.so")}) == [
        "the package torch has no code for sm_120, the recipe promises 120-real (sm_120); it has sm_90"
    ]


def test_a_torch_for_the_cpu(tmp_path: Path) -> None:
    assert findings(tmp_path, "gpu_code", {f"{SITE}/torch/lib/.wh.libtorch_cuda.so": b""}) == [
        "the package torch has no code for sm_120, the recipe promises 120-real (sm_120); it has no device code at all"
    ]


def test_a_pure_python_server_has_no_gpu_code(tmp_path: Path) -> None:
    pure = {
        f"{SITE}/serve/.wh._C.so": b"",
        **package("serve", "serve/cli.py", entry_points="[console_scripts]\nserver = serve.cli:main\n"),
    }
    assert findings(tmp_path, "gpu_code", pure) == []
    assert findings(tmp_path, "link_facts", pure, driver=Driver.NONE) == []


# link_facts, platform_plugin


def test_a_server_that_is_said_not_to_use_the_driver(tmp_path: Path) -> None:
    found = findings(tmp_path, "link_facts", driver=Driver.NONE)
    assert f"/{SITE}/serve/_C.so needs libcuda.so.1, the recipe promises driver: none" in found


PLUGIN = "[vllm.platform_plugins]\ntest = test_platform:register\n"


@pytest.mark.parametrize("site", [SITE, "usr/lib/python3/dist-packages", "srv/x/site-packages"])
def test_a_platform_plugin_that_was_left(tmp_path: Path, site: str) -> None:
    (finding,) = findings(tmp_path, "platform_plugin", package("test", entry_points=PLUGIN, site=site))
    assert finding == (
        f"/{site}/test-1.0.dist-info announces test = test_platform:register as a platform of vllm: "
        "it would be used in place of the host's GPU"
    )


def test_one_that_takes_the_servers_name_is_found_beside_it(tmp_path: Path) -> None:
    own = "[vllm.platform_plugins]\ncpu = vllm.platforms.cpu:register\n"
    both = {
        **package("vllm", entry_points=own),
        **package("vllm", entry_points=PLUGIN, site="usr/lib/site-packages"),
    }
    (finding,) = findings(tmp_path, "platform_plugin", both)
    assert "/usr/lib/site-packages/vllm-1.0.dist-info announces test" in finding


def test_general_plugins_stay_and_are_listed(tmp_path: Path) -> None:
    genesis = package(
        "genesis-vllm-plugin", entry_points="[vllm.general_plugins]\ngenesis_v7 = genesis_v7:register\n"
    )
    found = results(tmp_path, genesis, names=("platform_plugin",))["platform_plugin"]
    assert found.outcome is Outcome.PASSED
    assert found.detail["general"] == [
        "genesis-vllm-plugin: genesis_v7 = genesis_v7:register",
        "serve: lora = serve.lora:register",
    ]


# patches


def change(path: str, after: bytes, before: str = "0" * 40) -> dict[str, object]:
    return {"files": [{"path": path, "before": before, "after": blob(after) if after else ""}]}


def test_files_that_are_what_the_ledger_says(tmp_path: Path) -> None:
    good = {
        f"{SITE}/serve/a.py": b"x = 2\n",
        **ledger({"id": "P1", **change("serve/a.py", b"x = 1\n")}, {"id": "P2", **change("serve/a.py", b"x = 2\n")},
                 {"id": "P3", **change("serve/gone.py", b"")}),
    }  # fmt: skip
    found = results(tmp_path, good, names=("patches",), patches=("P1", "P2", "P3"))["patches"]
    assert found.reason == ""
    assert [one["id"] for one in found.detail["ledger"]["patches"]] == ["P1", "P2", "P3"]


def test_a_file_that_is_not_what_the_patch_made_of_it(tmp_path: Path) -> None:
    other = {f"{SITE}/serve/a.py": b"x = 0\n", **ledger(change("serve/a.py", b"x = 1\n"))}
    (finding,) = findings(tmp_path, "patches", other)
    assert finding == (
        f"/{SITE}/serve/a.py is not what the patch P1 made of it: "
        f"it is {blob(b'x = 0' + bytes([10]))[:12]}, the ledger says {blob(b'x = 1' + bytes([10]))[:12]}"
    )


def test_a_file_that_is_not_there_and_one_that_should_not_be(tmp_path: Path) -> None:
    other = {
        f"{SITE}/serve/b.py": b"",
        **ledger({"id": "P1", **change("serve/a.py", b"1")}, {"id": "P2", **change("serve/b.py", b"")}),
    }
    first, second = findings(tmp_path, "patches", other)
    assert first.endswith(f"the patch P1 made of it: it is not there, the ledger says {blob(b'1')[:12]}")
    assert second.endswith("the patch P2 made of it: it is e69de29bb2d1, the ledger says not there")


def test_a_patch_that_ended_otherwise(tmp_path: Path) -> None:
    half = ledger(
        {"id": "P8", "set": "genesis", "outcome": "half", "as_expected": False, "reason": "an anchor is gone"}
    )
    assert findings(tmp_path, "patches", half, patches=("genesis P8", "genesis P9")) == [
        "the patch genesis P9 is not in the ledger",
        "the patch genesis P8 ended as 'half', expected is 'applied': an anchor is gone",
    ]


def test_an_image_without_a_ledger(tmp_path: Path) -> None:
    assert findings(tmp_path, "patches") == []
    assert findings(tmp_path, "patches", patches=("P1",)) == [
        "/opt/ingot/ledger.json is not in the image, the recipe has 1 patches"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[1", "/opt/ingot/ledger.json cannot be read: JSONDecodeError: "),
        (b"[]", "/opt/ingot/ledger.json cannot be read: TypeError: "),
        (b'{"format": 2}', "/opt/ingot/ledger.json is of format 2, this reads 1"),
        (
            b'{"format": 1, "site": "/", "patches": [{}]}',
            "/opt/ingot/ledger.json cannot be read: KeyError: 'set'",
        ),
        (b'{"format": 1, "site": "/", "patches": 7}', "/opt/ingot/ledger.json cannot be read: TypeError: "),
    ],
)
def test_a_ledger_that_is_none(tmp_path: Path, text: bytes, why: str) -> None:
    (finding,) = findings(tmp_path, "patches", {"opt/ingot/ledger.json": text})
    assert finding.startswith(why)


# residue


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"{SITE}/serve-1.0.dist-info/direct_url.json", "the address that a package was installed from"),
        (f"{SITE}/serve-1.0.dist-info/uv_cache.json", "uv's own note, with the time of the build"),
        ("opt/venv/.cache/pip/http-v2/a/b", "an installer's cache"),
        ("wheels/serve-1.0-py3-none-any.whl", "a wheel"),
    ],
)
def test_leftovers_of_installing(tmp_path: Path, path: str, why: str) -> None:
    assert findings(tmp_path, "residue", {path: b"{}"}) == [f"/{path} is {why}"]


def test_wheels_that_python_itself_brings_stay(tmp_path: Path) -> None:
    bundled: Tree = {
        "usr/lib/python3.11/ensurepip/_bundled/pip-23.whl": b"",
        "usr/share/python-wheels/pip-23.whl": b"",
    }
    assert findings(tmp_path, "residue", bundled) == []


def test_a_tool_that_nothing_needs(tmp_path: Path) -> None:
    only_for_an_extra = package("other", requires=('pip>=20; extra == "dev"',))
    assert findings(tmp_path, "residue", {**package("pip"), **only_for_an_extra}) == [
        f"/{SITE}/pip-1.0.dist-info is a tool to build packages, and no installed package needs it"
    ]
    assert findings(tmp_path, "residue", {**package("pip"), **package("other", requires=("pip",))}) == []


def test_a_compiler_that_the_recipe_asks_for(tmp_path: Path) -> None:
    gcc: Tree = {"usr/bin/x86_64-linux-gnu-gcc-12": b"#!"}
    assert findings(tmp_path, "residue", gcc) == ["/usr/bin/x86_64-linux-gnu-gcc-12 is a compiler"]
    assert findings(tmp_path, "residue", gcc, packages=("bash", "gcc")) == []
