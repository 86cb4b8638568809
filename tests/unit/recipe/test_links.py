"""Other paths that users call a program by: what may be asked for, and what the Dockerfile makes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from build.plan.plan import unpinned
from build.plan.render import render_dockerfile
from build.recipe.decode import decode
from build.recipe.model import Recipe
from build.recipe.running import running_findings
from tests.unit.recipe.checkouts import DATA

TEMPLATES = Path(__file__).parents[3] / "dockerfiles"
SERVER = "/app/llama-server"


@pytest.fixture(name="recipe")
def minifork() -> Recipe:
    (recipe,) = decode([DATA / "good" / "minifork.yaml"], root=DATA)
    return recipe


def linked(recipe: Recipe, *links: tuple[str, str]) -> Recipe:
    return replace(recipe, runtime=replace(recipe.runtime, links=links))


def dockerfile(recipe: Recipe) -> str:
    return render_dockerfile(TEMPLATES, recipe, unpinned(recipe, toolchain_lock="0" * 64, base_lock=""))


@pytest.mark.parametrize(
    "path",
    [
        "/usr/local/bin/llama-server",
        "/llama-server",
        "/opt/llama/server",
        "/srv/server",
        "/usr/local/lib/llama/x",
    ],
)
def test_places_that_are_free(recipe: Recipe, path: str) -> None:
    assert list(running_findings(linked(recipe, (path, SERVER)))) == []


@pytest.mark.parametrize(
    "path",
    [
        "/app",
        "/app/x",
        "/bin/x",
        "/etc/x",
        "/opt",
        "/proc/x",
        "/tmp/x",
        "/usr",
        "/usr/local/bin",
        "/usr/bin/x",
        "/",
    ],
)
def test_places_that_are_not(recipe: Recipe, path: str) -> None:
    (finding,) = running_findings(linked(recipe, (path, SERVER)))
    assert finding.key == f"runtime.links.{path}"
    assert finding.hint == "for example /usr/local/bin/llama-server"


def test_every_link_is_judged(recipe: Recipe) -> None:
    many = linked(recipe, ("/a", "/bin/sh"), ("/a/b", SERVER), ("relative", "relative"))
    assert [finding.message for finding in running_findings(many)] == [
        "'/bin/sh' is not below /app, where everything that is built lies",
        "lies below another link",
        "'relative' is not an absolute path",
        "'relative' is not an absolute path",
    ]


def test_links_are_a_tree_that_is_copied(recipe: Recipe) -> None:
    text = dockerfile(linked(recipe, ("/usr/local/bin/llama-server", SERVER), ("/llama-server", SERVER)))
    assert (
        "RUN --network=none set -eux; \\\n"
        "    mkdir -p /collect/links; \\\n"
        "    ln -s /app/llama-server /collect/links/llama-server; \\\n"
        "    mkdir -p /collect/links/usr/local/bin; \\\n"
        "    ln -s /app/llama-server /collect/links/usr/local/bin/llama-server\n\n"
    ) in text
    runtime = text.partition("FROM base AS runtime\n")[2]
    assert (
        "COPY --from=collect /collect/server/ /app/\nCOPY --from=collect /collect/links/ /\nENV " in runtime
    )
    assert "\nRUN " not in runtime


def test_order_in_the_recipe_does_not_matter(recipe: Recipe) -> None:
    links = ("/usr/local/bin/a", SERVER), ("/b", SERVER)
    assert dockerfile(linked(recipe, *links)) == dockerfile(linked(recipe, *reversed(links)))


def test_without_links_nothing_is_said_of_them(recipe: Recipe) -> None:
    assert "links" not in dockerfile(recipe)
