"""The words of a pull request: whole where they fit, cut between sections where not, and said."""

from pathlib import Path

import pytest

from build.follow.offer import body, read_pages
from tests.unit.follow.places import Place, Shelf

BUMP = "# mini: b42 to b43\n\n## Patches\n\nclean\n"
REPORT = "# mini\n\nverdict\n\n## Checks\n\n" + "| a | b |\n" * 300 + "\n## Labels\n\n- last\n"
PAGES = (("out/mini/bump.md", BUMP), ("out/mini/report.md", REPORT))


def test_what_fits_is_whole() -> None:
    assert body(PAGES, longest=65_536) == f"{BUMP.strip()}\n\n{REPORT.strip()}"
    whole = len(BUMP.strip()) + len(REPORT.strip()) + 2
    assert body(PAGES, longest=whole) == f"{BUMP.strip()}\n\n{REPORT.strip()}"
    assert "cut here" in body(PAGES, longest=whole - 1)


def test_the_report_is_cut_between_its_sections_and_says_so() -> None:
    text = body(PAGES, longest=1_000)
    assert text == (
        f"{BUMP.strip()}\n\n# mini\n\nverdict\n\n*2 of 3 sections are cut here. out/mini/report.md has them.*"
    )


@pytest.mark.parametrize("longest", range(500, 4_000, 97))
def test_it_is_never_longer_than_it_may_be(longest: int) -> None:
    pages = (*PAGES, ("out/mini+sm89/report.md", REPORT))
    text = body(pages, longest=longest)
    assert len(text) <= longest
    whole, cut = text.count("- last"), text.count("report.md has them.") + text.count("no room for out/")
    assert whole + cut == 2
    assert text.count("| a | b |") % 300 == 0, "no table is cut in two"


def test_a_bump_that_is_too_long_is_cut_too_and_the_report_is_named() -> None:
    long = "# mini\n\nhead\n" + "".join(f"\n## Group {n}\n\n{'x' * 90}\n" for n in range(20))
    text = body((("out/mini/bump.md", long), *PAGES[1:]), longest=1_000)
    assert len(text) <= 1_000
    assert "sections are cut here. out/mini/bump.md has them.*" in text
    assert "out/mini/report.md has them.*" in text


def test_a_heading_inside_a_fence_is_no_place_to_cut() -> None:
    fence = "````\n```\n## not a heading\n```\n" + "y\n" * 400 + "````"
    text = body((("out/m/report.md", f"# m\n\n## A\n\n{fence}\n\n## B\n\nend"),), longest=600)
    assert text == "# m\n\n*2 of 3 sections are cut here. out/m/report.md has them.*"


def test_each_image_s_report_is_read_and_none_is_made_up(tmp_path: Path) -> None:
    toolchains = Path(__file__).parents[3] / "recipes" / "toolchains"
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "toolchains").symlink_to(toolchains, target_is_directory=True)
    place = Place(root=tmp_path, index=Shelf())
    place.write("9" * 40)
    for path in ("fork/bump.md", "fork/report.md", "fork+sm89/report.md"):
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_text(f"{path}\n")
    assert read_pages(tmp_path / "out", place.recipe()) == (
        ("out/fork/bump.md", "fork/bump.md"),
        ("out/fork/report.md", "fork/report.md"),
        ("out/fork+no-vmm/report.md", ""),
        ("out/fork+sm89/report.md", "fork+sm89/report.md"),
    )
