"""Images with several faults at once, each really built, each fault named by the check that is there for it."""

import shutil
from dataclasses import dataclass

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

TEMPLATE = "dockerfiles/llama-cpp.Dockerfile.j2"
RECIPE = "recipes/minifork.yaml"
BAKE = "build/doors/bakefile.py"
SERVER = "samples/minifork/server/server.cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    name: str
    edits: tuple[tuple[str, str, str], ...]
    failed: dict[str, str | tuple[str, ...]]
    """Every check that fails, and words of its reason."""


METADATA = Faulty(
    name="metadata",
    edits=(
        (BAKE, '"labels": dict(target.labels),', '"labels": {},'),
        (BAKE, '"rewrite-timestamp": "true"', '"rewrite-timestamp": "false"'),
        (TEMPLATE, "USER {{ user }}", "USER 0"),
        (TEMPLATE, "COPY --from=collect /collect/links/ /", "RUN true"),
        (RECIPE, "  env:\n", "  links:\n    /usr/local/bin/mini: /app/mini-server\n  env:\n"),
        (RECIPE, 'MINI_BUILD_NUMBER: "{build}"', 'MINI_BUILD_NUMBER: "41"'),
    ),
    failed={
        "labels": "the label org.opencontainers.image.source is missing",
        "user": "the image runs as root (0)",
        "links": "/usr/local/bin/mini leads nowhere, the recipe promises a link to /app/mini-server",
        "timestamps": "has entries younger than the epoch",
        "version": "`--version` does not say 'version: 42 (",
        "endpoints": "GET /props does not hold 'b42-",
    },
)
PLUGINS = r"""
cd /collect/server
# dlopen'ed by nobody at the start, so the server runs: a cut library, a broken link, a library for a newer glibc.
head -c 3000 "$(readlink -f libmini-common.so.0)" > libmini-cut.so
ln -s libmini-nowhere.so.1.0 libmini-nowhere.so.1
echo 'GLIBC_2.99 { global: newer; };' > /tmp/map
echo 'void newer(void) {}' > /tmp/newer.c
gcc -shared -o /tmp/libc.so.6 -Wl,-soname,libc.so.6 -Wl,--version-script,/tmp/map /tmp/newer.c -nostdlib
echo 'void newer(void); void plugin(void) { newer(); }' > /tmp/plugin.c
gcc -shared -o libmini-plugin.so /tmp/plugin.c /tmp/libc.so.6 -nostdlib
gcc -shared -o libmini-lone.so /tmp/newer.c -nostdlib -Wl,-soname,libmini-lone.so -Wl,-rpath,/build/main/bin
cp libmini-lone.so libnvidia-ml.so.1
cd /
"""
LIBRARIES = Faulty(
    name="libraries",
    edits=(
        ("dockerfiles/scripts/collect.sh", "chmod -R u=rwX", f"{PLUGINS}chmod -R u=rwX"),
        (TEMPLATE, "USER {{ user }}", "ENV NVIDIA_VISIBLE_DEVICES=void\nUSER {{ user }}"),
    ),
    failed={
        "closure": (
            "libmini-cut.so is cut: 3000 bytes",
            "libmini-nowhere.so.1 is a link to libmini-nowhere.so.1.0, which is not there",
            "libmini-plugin.so wants GLIBC_2.99 of libc.so.6, which ",
        ),
        "driver_boundary": (
            "libnvidia-ml.so.1 belongs to the driver, which the container runtime injects",
            "libmini-lone.so: the RUNPATH element '/build/main/bin' leads to a folder of the build",
            "NVIDIA_VISIBLE_DEVICES is 'void': no GPU would be injected",
        ),
    },
)
SERVING = Faulty(
    name="serving",
    edits=(
        (
            SERVER,
            "return tokenize(m, prompt->text);",
            "return tokenize(m, prompt->text.substr(prompt->text.size() > 512 ? prompt->text.size() - 512 : 0));",
        ),
        (
            SERVER,
            "const result out = complete(*target, *draft, weights, t, stopping);",
            (
                "static std::mutex one; static int asked = 0; static result last;"
                " std::lock_guard<std::mutex> alone(one);"
                " result out = complete(*target, *draft, weights, t, stopping);"
                " if (++asked % 7 == 0) { std::swap(out, last); } else { last = out; }"
            ),
        ),
        # As the first process of a container it cannot be ended by SIGABRT; abort() then ends it by SIGSEGV.
        (SERVER, "failed = true;", "abort();"),
        (SERVER, "sigaction(SIGTERM, &action, nullptr);", "signal(SIGTERM, SIG_IGN);"),
    ),
    failed={
        "long_prompt": "answer after a prompt of 1499 characters: tokens [",
        "concurrency": "client ",
        "broken_model": "with a file of noise as its model the server crashed with status 139 (SIGSEGV): ",
        "sigterm": "the server did not end within 10 s of SIGTERM",
    },
)
ARITHMETIC = Faulty(
    name="arithmetic",
    edits=(("samples/minifork/server/completion.cpp", "return best;\n", "return best ? best - 1 : 1;\n"),),
    failed={
        "tokens": "answer 1: tokens [",
        "long_prompt": "right would be [",
        "concurrency": "and 17 more of 20",
    },
)
ADDRESS = Faulty(
    name="address",
    edits=((RECIPE, "MINI_ARG_HOST: 0.0.0.0", "MINI_ARG_HOST: 192.0.2.1"),),
    failed={"health": "error: couldn't bind to 192.0.2.1, port 8080: Cannot assign requested"},
)


@pytest.mark.parametrize(
    "faulty", [METADATA, LIBRARIES, SERVING, ARITHMETIC, ADDRESS], ids=lambda one: one.name
)
def test_each_fault_is_named_by_its_check(
    faulty: Faulty, good: Checkout, checkout: Checkout, nothing_left: None
) -> None:
    for path, old, new in faulty.edits:
        checkout.edit(path, old, new)
    if any(path.startswith("samples/") for path, _, _ in faulty.edits):
        checkout.repin()
    ran = checkout.run("image", "minifork")
    assert ran.code == 1, ran.err
    failed = {
        one["name"]: one["reason"]
        for one in checkout.artifact("smoke")["checks"]
        if one["outcome"] == "failed"
    }
    assert set(failed) == set(faulty.failed)
    for name, said in faulty.failed.items():
        for words in (said,) if isinstance(said, str) else said:
            assert words in failed[name]
    assert checkout.run("push", "minifork").code == 1


def test_a_layer_that_was_cut_short_is_found_without_an_engine(good: Checkout, checkout: Checkout) -> None:
    shutil.copytree(good.out, checkout.out, ignore=shutil.ignore_patterns("published", "push.json"))
    largest = max(checkout.artifact("image")["layers"], key=lambda layer: int(layer["size"]))
    blob = checkout.out / "minifork" / "image" / "blobs" / largest["digest"].replace(":", "/")
    nowhere = f"unix://{checkout.root}/no-such.sock"
    fine = checkout.run("smoke", "minifork", "--static", INGOT_ENGINE="host", DOCKER_HOST=nowhere)
    assert fine.code == 0, fine.err
    assert checkout.check("health")["outcome"] == "passed", "what ran before is kept"
    blob.write_bytes(blob.read_bytes()[:-1000])
    ran = checkout.run("smoke", "minifork", "--static", INGOT_ENGINE="host", DOCKER_HOST=nowhere)
    assert ran.code == 1
    layout = checkout.check("layout")
    assert layout["outcome"] == "failed"
    assert largest["digest"] in layout["reason"]
    assert checkout.run("push", "minifork").code == 1
