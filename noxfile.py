"""Ingot: declarative recipes become CUDA runtime images that are proven before they are pushed.

`./noxw -s demo` shows the whole road on a fresh machine, `./noxw -s tests` runs every test.
Sessions only call `python -m build <verb>`, which works without nox too; words after `--` are its arguments.
"""

import os
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.02.09"

ROOT = Path(__file__).resolve().parent
OWN = Path(sys.prefix).resolve() == ROOT / ".venv"
"""Started by ./noxw: its venv holds the lock already, sessions use it as it is."""

nox.options.default_venv_backend = "none" if OWN else "uv|virtualenv"
nox.options.reuse_venv = "yes"

OFFLINE = ("tests/unit", "tests/golden")
WITHOUT_ENGINE = (*OFFLINE, "tests/upstream")
TIMED = ("tests/integration/test_bench.py", "tests/integration/test_benchmarks.py")
SCRIPTS = ("noxw", ".ci/run")
END_S = 60.0
"""nox kills an interrupted command after 0.3 s; a build needs longer to take its containers with it."""


def python(session: nox.Session, *words: str) -> None:
    """Run this repository's Python with the locked packages; the only place that does."""
    programs = Path(sys.executable).parent
    if session.venv_backend != "none":
        session.install("--require-hashes", "--requirement", str(ROOT / "requirements.txt"), silent=True)
        programs = Path(session.bin)
    env = {
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath))),
    }
    session.run(
        str(programs / "python"),
        *words,
        env=env,
        external=True,
        interrupt_timeout=END_S,
        terminate_timeout=END_S,
    )


def verb(session: nox.Session, *words: str) -> None:
    """Run a verb of the pipeline with the session's arguments."""
    python(session, "-m", "build", *words, *session.posargs)


def tool(session: nox.Session, program: str, *words: str) -> None:
    """Run a program of the locked packages."""
    python(session, "-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", program, *words)


def there(*patterns: str) -> tuple[str, ...]:
    """List what matches, so that no tool is run on nothing."""
    return tuple(str(path.relative_to(ROOT)) for pattern in patterns for path in sorted(ROOT.glob(pattern)))


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Build, smoke-test and push the sample fork on this machine, everything it needs included."""
    verb(session, "demo")


@nox.session(default=False)
def check(session: nox.Session) -> None:
    """Check every recipe and report all problems at once; needs nothing but the tree."""
    verb(session, "check")


@nox.session(default=False)
def render(session: nox.Session) -> None:
    """Write the Dockerfile and the bake file of recipes, without network or engine."""
    verb(session, "render")


@nox.session(default=False)
def resolve(session: nox.Session) -> None:
    """Prove pins: commit, submodules, patches, archives, toolchain and base."""
    verb(session, "resolve")


@nox.session(default=False)
def plan(session: nox.Session) -> None:
    """Resolve, render and fingerprint recipes; builds nothing."""
    verb(session, "plan")


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build and smoke-test several recipes and keep going: nox -s build -- 'llama-*' [--variant NAME]."""
    verb(session, "build")


def build_one(name: str) -> None:
    """Make the session of one recipe."""

    @nox.session(name=f"build-{name}", default=False)
    def one(session: nox.Session) -> None:
        verb(session, "build", name)

    one.__doc__ = f"Pin, plan, build and smoke-test {name}."


for stem in sorted(file.stem for file in (ROOT / "recipes").glob("*.yaml")):
    build_one(stem)


@nox.session(default=False)
def smoke(session: nox.Session) -> None:
    """Smoke-test images that were built, again."""
    verb(session, "smoke")


@nox.session(default=False)
def verify(session: nox.Session) -> None:
    """Build images again under other conditions and compare them to the byte: nox -s verify -- RECIPE | --image REF@DIGEST."""
    verb(session, "verify")


@nox.session(default=False)
def push(session: nox.Session) -> None:
    """Push smoke-tested images to INGOT_REGISTRY, the immutable tag first: nox -s push -- NAME [--attest | --custody]."""
    verb(session, "push")


@nox.session(default=False)
def attest(session: nox.Session) -> None:
    """Write the bill of materials and the provenance of built images: sbom.cdx.json, provenance.json."""
    verb(session, "attest")


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Write the pages of built images again: report.md, report.html, junit.xml."""
    verb(session, "report")


@nox.session(default=False)
def diff(session: nox.Session) -> None:
    """Say how two images differ: nox -s diff -- published minifork; recipes, folders, registry references."""
    verb(session, "diff")


@nox.session(default=False)
def inspect(session: nox.Session) -> None:
    """Read back what an image says of itself: nox -s inspect -- registry/name:tag | RECIPE [--json]."""
    verb(session, "inspect")


@nox.session(default=False)
def size(session: nox.Session) -> None:
    """Say where built images' bytes are and what a change makes users pull: nox -s size -- RECIPE [--biggest N]."""
    verb(session, "size")


@nox.session(default=False)
def history(session: nox.Session) -> None:
    """Show what the registry holds of recipes: immutable tags, moving tags, digests, commits, commit dates, sizes."""
    verb(session, "history")


@nox.session(default=False)
def rollback(session: nox.Session) -> None:
    """Point the moving tags of a recipe back at an image pushed before: nox -s rollback -- NAME [--to DIGEST]."""
    verb(session, "rollback")


@nox.session(default=False)
def custody(session: nox.Session) -> None:
    """Keep copies of what recipes are built from in INGOT_CUSTODY, or ask the origins: nox -s custody -- [RECIPE...] [--check]."""
    verb(session, "custody")


@nox.session(default=False)
def matrix(session: nox.Session) -> None:
    """Write the recipes to stdout as a matrix of CI jobs, JSON."""
    verb(session, "matrix")


@nox.session(default=False)
def ccache(session: nox.Session) -> None:
    """Carry the compile cache into INGOT_CACHE/ccache or back, for machines that are new: nox -s ccache -- keep."""
    verb(session, "ccache")


@nox.session(default=False)
def overdue(session: nox.Session) -> None:
    """Fail where the runs of a recipe have not succeeded for too long: nox -s overdue -- [RECIPE...] [--remote origin]."""
    verb(session, "overdue")


@nox.session(default=False)
def pins(session: nox.Session) -> None:
    """Refresh committed locks: nox -s pins -- [13.0 | 13.1 | python | debian | samples], all without a name."""
    verb(session, "pins")


@nox.session(default=False)
def engine(session: nox.Session) -> None:
    """Look after the private engine: nox -s engine -- status | start | stop [--purge]."""
    verb(session, "engine")


@nox.session(default=False)
def new(session: nox.Session) -> None:
    """Begin a recipe for your own fork: nox -s new -- URL [--ref REF] [--name NAME]."""
    verb(session, "new")


@nox.session(default=False)
def watch(session: nox.Session) -> None:
    """Ask every upstream whether there is something new: nox -s watch -- [RECIPE...] [--json]."""
    verb(session, "watch")


@nox.session(default=False)
def bump(session: nox.Session) -> None:
    """Move a recipe to what is new upstream, and say what changed: nox -s bump -- RECIPE [--to REF]."""
    verb(session, "bump")


@nox.session(default=False)
def rebuild(session: nox.Session) -> None:
    """Take what is new upstream down the whole road: nox -s rebuild -- [RECIPE...] [--dry-run] [--remote origin]."""
    verb(session, "rebuild")


@nox.session(default=False)
def doctor(session: nox.Session) -> None:
    """Say what this machine has and lacks, with the command that mends it."""
    verb(session, "doctor")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure built images over several runs and fail where the speed falls: nox -s bench -- minifork [--model FILE]."""
    verb(session, "bench")


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure the pipeline against the tools below it, as ratios: nox -s benchmarks -- cold warm [--runs N] [--kernels N]."""
    verb(session, "benchmarks")


@nox.session
def lint(session: nox.Session) -> None:
    """Check code, scripts, recipes, rendered Dockerfiles and workflows: ruff, codespell, shellcheck, hadolint, zizmor ..."""
    tool(session, "ruff", "check")
    tool(session, "ruff", "format", "--check")
    tool(
        session,
        "codespell",
        *there("*.md", "*.py", "noxw", "build", "dockerfiles", "docs", "recipes", "samples", "tests"),
    )
    tool(session, "shellcheck", *there(*SCRIPTS, "dockerfiles/**/*.sh"))
    lint_rendered(session)
    lint_workflows(session)


def lint_workflows(session: nox.Session) -> None:
    """Lint the workflows: their schema, what GitHub would refuse, what an attacker would like. None asks the network."""
    workflows = there(".github/workflows/*.yml")
    tool(session, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    tool(session, "actionlint", *workflows)
    tool(session, "zizmor", "--offline", "--no-progress", "--persona", "pedantic", *workflows)


def lint_rendered(session: nox.Session) -> None:
    """Lint what has no linter of its own language in the sources."""
    if dockerfiles := there("tests/golden/**/Dockerfile", "tests/golden/**/*.Dockerfile"):
        tool(session, "hadolint", *dockerfiles)
    if (recipes := there("recipes/*.yaml")) and (
        schema := there("recipes/*.schema.json", "recipes/schema.json")
    ):
        tool(session, "check-jsonschema", "--schemafile", schema[0], *recipes)


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy, strict."""
    python(session, "-m", "mypy", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that need neither network nor engine; seconds."""
    python(session, "-m", "pytest", "--numprocesses=auto", *there(*OFFLINE), *session.posargs)


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run every test, real engine included, or those that words after `--` choose; without an engine a private one starts."""
    pytest = ("-m", "pytest", "--run-docker")
    if session.posargs:
        python(session, *pytest, *session.posargs)
        return
    # What needs no engine first: it is red in a minute.
    python(session, *pytest, "--numprocesses=auto", *there(*WITHOUT_ENGINE))
    # Tests of one engine disturb each other, so a second one at a time needs a private engine; what is timed runs alone.
    private = sys.platform == "linux" and os.geteuid() == 0
    beside = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder") if private else ()
    others = (f"--ignore={path}" for path in there(*WITHOUT_ENGINE, *TIMED))
    python(session, *pytest, "--durations=40", *beside, *others)
    python(session, *pytest, "--durations=10", *there(*TIMED))
