"""The sample server of wheels: a good image passes every check for real, and one that is broken in many places fails each.

The breaks do not touch each other, so one image has them all; each is named by its own check, in its own words.
"""

import json
import re
from pathlib import Path

import pytest

from build.doors.buildx import Buildx
from build.doors.effects import EngineHandle
from build.errors import Unreachable
from build.host.registry import RegistryServer
from build.pin.published import PublishedFiles
from build.recipe.model import Family, VendorSource
from build.settings import Settings
from build.smoke.run import check_names
from tests.fakes import RecordingReporter
from tests.integration.conftest import ROOT, Checkout, make_checkout

pytestmark = pytest.mark.engine

RECIPE = "recipes/miniserve.yaml"
TEMPLATE = "dockerfiles/python.Dockerfile.j2"
HOOK = "FROM patched AS runtime\n"
SITE = "/opt/venv/lib/python3.11/site-packages"

BREAK = f"""{HOOK}RUN <<EOF
set -eu
cd {SITE}
# A patch that was applied by half: what one module imports is gone from the other, and its byte code was kept.
sed -i 's/class Cache/class Store/' miniserve/core/cache.py
# A flag that upstream renamed.
sed -i 's/--max-model-len/--max-length/' miniserve/cli.py
# What smoke mounts to go without a GPU, left in the image; and a tool of the build.
mkdir leftover-1.dist-info pip-1.dist-info
printf '[vllm.platform_plugins]\\nleft = leftover:register\\n' > leftover-1.dist-info/entry_points.txt
printf 'Metadata-Version: 2.1\\nName: pip\\nVersion: 1\\n' > pip-1.dist-info/METADATA
# A torch for another CUDA.
printf '__version__ = "2.9"\\nclass version:\\n    cuda = "12.9"\\n' > torch.py
# An extension that needs a library which no package has.
python3 -c 'import pathlib; libm = pathlib.Path("/lib/x86_64-linux-gnu/libm.so.6").read_bytes(); pathlib.Path("miniserve/_ext.so").write_bytes(libm.replace(bytes(1) + b"libc.so.6", bytes(1) + b"libx.so.6"))'
# A ledger that says what is not so.
mkdir -p /opt/ingot
printf '{{"format": 1, "site": "{SITE}", "sets": [], "patches": [{{"id": "P1", "set": "genesis", "outcome": "half", "expected": "applied", "as_expected": false, "reason": "one anchor of two", "files": [{{"path": "miniserve/limits.py", "before": "", "after": "0123456789abcdef"}}]}}]}}' > /opt/ingot/ledger.json
EOF
"""


@pytest.fixture(scope="module")
def sound(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: RegistryServer,
) -> Checkout:
    made = make_checkout(tmp_path_factory.mktemp("sound") / "sound", settings, engine, loopback)
    ran = made.run("image", "miniserve")
    assert ran.code == 0, ran.err
    return made


@pytest.fixture(scope="module")
def broken(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: RegistryServer,
) -> Checkout:
    made = make_checkout(tmp_path_factory.mktemp("broken") / "broken", settings, engine, loopback)
    made.edit(TEMPLATE, HOOK, BREAK)
    made.edit(
        RECIPE, "refused: [--kv-cache-dtype q3_x, ", "sigterm_exit: 143\n  refused: [--kv-cache-dtype q3_x, "
    )
    ran = made.run("image", "miniserve")
    assert ran.code == 1, ran.err
    assert "imports" in ran.err
    assert made.run("push", "miniserve").code == 1
    return made


def test_a_good_image_passes_every_check_for_real(sound: Checkout, nothing_left: None) -> None:
    checks = {one["name"]: one for one in sound.artifact("smoke", "miniserve")["checks"]}
    assert set(checks) == set(check_names(Family.PYTHON))
    assert {name for name, one in checks.items() if one["outcome"] != "passed"} <= {"gpu"}
    promised = {"miniserve", "miniserve.core.scheduler", "miniserve.limits"}
    assert promised < set(checks["imports"]["detail"]["imported"]), "patched modules are imported too"
    assert checks["tokens"]["detail"]["tokens"][:3] == [12, 118, 164]
    assert checks["sigterm"]["detail"] == {"exit": 0}
    assert checks["bytecode"]["detail"]["compiled"] > checks["bytecode"]["detail"]["sources"] > 5
    assert sound.run("push", "miniserve").code == 0


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("closure", (f"{SITE}/miniserve/_ext.so needs libx.so.6: it is nowhere in the image",)),
        (
            "platform_plugin",
            (f"{SITE}/leftover-1.dist-info announces left = leftover:register as a platform of vllm",),
        ),
        (
            "residue",
            (f"{SITE}/pip-1.dist-info is a tool to build packages, and no installed package needs it",),
        ),
        (
            "patches",
            (
                "the patch minipatches M2 is not in the ledger",
                "the patch genesis P1 ended as 'half', expected is 'applied': one anchor of two",
                f"{SITE}/miniserve/limits.py is not what the patch genesis P1 made of it: it is ",
                ", the ledger says 0123456789ab",
            ),
        ),
        (
            "imports",
            (
                "`import miniserve.core.scheduler`: ImportError: cannot import name 'Cache' from 'miniserve.core.cache'",
            ),
        ),
        ("toolkit", ("torch 2.9 is built with CUDA 12.9, the recipe says 13.0",)),
        (
            "bytecode",
            (
                f"{SITE}/miniserve/core/__pycache__/cache.cpython-311.pyc was not compiled from its source",
                f"{SITE}/miniserve/__pycache__/cli.cpython-311.pyc was not compiled from its source",
            ),
        ),
        (
            "arguments",
            (
                "the promised `--max-model-len 8192` is refused, --max-model-len is gone: --help does not list it either",
                "miniserve: error: unrecognized arguments: --max-model-len 8192",
            ),
        ),
        ("sigterm", ("SIGTERM ended it with status 0, expected 143",)),
    ],
)
def test_each_break_is_found_by_its_check(broken: Checkout, check: str, says: tuple[str, ...]) -> None:
    result = broken.check(check, "miniserve")
    assert result["outcome"] == "failed"
    for text in says:
        assert text in result["reason"]


def test_nothing_else_is_found(broken: Checkout) -> None:
    failed = {
        one["name"] for one in broken.artifact("smoke", "miniserve")["checks"] if one["outcome"] == "failed"
    }
    assert failed == {
        "closure", "platform_plugin", "residue", "patches", "imports", "toolkit", "bytecode", "arguments", "sigterm",
    }  # fmt: skip


def test_a_publishers_image_is_patched_and_checked_like_one_of_wheels(
    sound: Checkout, checkout: Checkout, engine: EngineHandle, loopback: RegistryServer, nothing_left: None
) -> None:
    """The stand-in is the sample as it was before it was patched, pushed as its publisher would."""
    told, name = checkout.root / "pushed.json", f"{loopback.address}/publisher/miniserve"
    Buildx(engine).bake(
        sound.out / "miniserve" / "docker-bake.json",
        ("miniserve",),
        cwd=sound.root,
        log=checkout.root / "pushed.log",
        on_event=lambda _event: None,
        options=(
            *(
                "--set",
                "miniserve.target=application",
                "--set",
                f"miniserve.output=type=registry,name={name}",
            ),
            *("--metadata-file", str(told)),
        ),
    )
    image = f"{name}@{json.loads(told.read_text())['miniserve']['containerimage.digest']}"
    recipe = checkout.root / RECIPE
    source = f"  image: {image}\n  site_packages: {SITE}\n  upstream:"
    text = re.sub(r"  # Its first package.*?  upstream:", source, recipe.read_text(), flags=re.DOTALL)
    recipe.write_text(text)
    patch = checkout.root / "patches" / "miniserve" / "0001-parsers-blanks-around-null.patch"
    diff = patch.read_text()
    for broken, says in (
        (
            diff.replace("miniserve/parsers.py", "miniserve/gone/parsers.py"),
            "the source has no miniserve/gone/parsers.py",
        ),
        (
            diff.replace(' if word == "null"', ' if word == "nil"'),
            "conflicts with the source at miniserve/parsers.py:1",
        ),
    ):
        patch.write_text(broken)
        ran = checkout.run("resolve", "miniserve")
        assert (ran.code, says in ran.err) == (1, True), ran.err
    patch.write_text(diff)
    recipe.write_text(text.replace(f"site_packages: {SITE}", "site_packages: /opt/other"))
    ran = checkout.run("resolve", "miniserve")
    assert (ran.code, f"{image} has no packages in /opt/other" in ran.err) == (1, True), ran.err
    recipe.write_text(text)
    ran = checkout.run("image", "miniserve")
    assert ran.code == 0, ran.err
    assert f"base registry: {image}" in ran.err
    checks = {one["name"]: one for one in checkout.artifact("smoke", "miniserve")["checks"]}
    assert {name for name, one in checks.items() if one["outcome"] != "passed"} <= {"gpu"}
    patches = {one["id"]: one["outcome"] for one in checks["patches"]["detail"]["ledger"]["patches"]}
    assert (patches["M1"], patches["M2"]) == ("excluded", "applied")
    assert patches["miniserve/0001-parsers-blanks-around-null.patch"] == "applied"
    (proof,) = checkout.artifact("pin", "miniserve")["source"]["patches"]
    assert (proof["verdict"], proof["touches"]) == ("clean", ["miniserve/parsers.py"])


def test_a_publishers_image_that_buildkit_cannot_pull_is_code_4(tmp_path: Path, engine: EngineHandle) -> None:
    files = PublishedFiles(
        cache=tmp_path,
        templates=ROOT / "dockerfiles",
        builder=lambda: Buildx(engine),
        reporter=RecordingReporter(),
    )
    image = f"127.0.0.1:1/publisher/miniserve@sha256:{'1' * 64}"
    with pytest.raises(Unreachable, match=r"^127\.0\.0\.1:1/.* cannot be pulled: .*connection refused"):
        files.read(VendorSource(image=image, upstream="https://x.invalid", version="1"), ["a.py"])
