from dataclasses import replace

from build.bench.record import Key, Record, leaderboard, rows
from build.bench.series import statistics_of
from build.recipe.refs import Digest
from tests.unit.bench.made import drafting, series

RECORD = Record(
    at="2026-01-01T00:00:00+00:00", recipe="mini", variant="", tag="b42-cu130-sm120a-0123456789ab",
    key=Key(digest=Digest(f"sha256:{'1' * 64}"), gpu="RTX", driver="580", context=2000, model="m" * 64),
    model_file="m.gguf", arguments=("-c", "8192"), predict=256, series=series(54, 55, 56),
    statistics=statistics_of(series(54, 55, 56)), falls=(),
)  # fmt: skip


def measured(digit: str, *speeds: float, **changed: object) -> Record:
    key = replace(RECORD.key, digest=Digest(f"sha256:{digit * 64}"))
    one = series(*speeds)
    return replace(RECORD, key=key, series=one, statistics=statistics_of(one), **changed)  # type: ignore[arg-type]


def test_a_row_says_it_all() -> None:
    assert rows([RECORD]) == (("2000", "3", "55.0", "54.0 to 56.0", "1.0", "900", "", "steady"),)
    drafts = replace(RECORD, statistics=statistics_of(drafting(150, 150, 150)), falls=("fell",))
    assert rows([drafts])[0][-2:] == ("75%", "falls")


def test_the_fastest_image_leads_by_its_latest_record() -> None:
    known = [measured("1", 90, 90, 90), RECORD, measured("2", 60, 61, 62, variant="no-vmm")]
    assert leaderboard(known, RECORD) == (
        ("1", "mini+no-vmm", RECORD.tag, "2" * 12, "61.0", "steady"),
        ("2", "mini", RECORD.tag, "1" * 12, "55.0", "steady"),
    )


def test_an_image_that_falls_has_no_rank_and_comes_last() -> None:
    falls = measured("3", 90, 90, 80, falls=("fell",))
    assert [row[0] for row in leaderboard([falls, RECORD], RECORD)] == ["1", ""]


def test_other_conditions_do_not_compare() -> None:
    others = [
        replace(RECORD, key=replace(RECORD.key, gpu="cpu")),
        replace(RECORD, key=replace(RECORD.key, driver="570")),
        replace(RECORD, key=replace(RECORD.key, context=512)),
        replace(RECORD, key=replace(RECORD.key, model="n" * 64)),
        replace(RECORD, predict=16),
    ]
    other_images = [replace(one, key=replace(one.key, digest=Digest(f"sha256:{'4' * 64}"))) for one in others]
    assert len(leaderboard([*other_images, RECORD], RECORD)) == 1
