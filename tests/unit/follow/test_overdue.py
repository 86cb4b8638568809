from datetime import UTC, datetime

import pytest

from build.errors import BadRequest
from build.follow.overdue import Overdue, Standing, parse_state, refuse_overdue, standings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def standing(last: str, days: int = 7) -> Standing:
    (found,) = standings(["mini"], {"mini": last}, now=NOW, days=days)
    return found


@pytest.mark.parametrize(
    ("last", "days", "overdue"),
    [
        ("2026-11-21T11:00:00+00:00", 0.042, False),
        ("2026-11-14T12:00:00+00:00", 7.0, False),
        ("2026-11-14T11:59:59+00:00", 7.0, True),
        ("2026-11-14T12:30:00+01:00", 7.021, True),
        ("2026-01-01T00:00:00Z", 324.5, True),
    ],
)
def test_overdue_is_longer_than_the_days_in_any_time_zone(last: str, days: float, *, overdue: bool) -> None:
    found = standing(last)
    assert found.days == pytest.approx(days, abs=0.001)
    assert found.overdue is overdue


def test_a_recipe_without_a_success_is_not_overdue() -> None:
    found = standings(["new", "mini"], {"mini": ""}, now=NOW, days=1)
    assert [(one.recipe, one.days, one.overdue) for one in found] == [
        ("new", None, False),
        ("mini", None, False),
    ]


def test_the_next_run_fails_loudly_and_names_all_that_are_late() -> None:
    state = {"a": "2026-11-01T12:00:00Z", "b": "2026-11-20T12:00:00Z", "c": "2026-10-01T12:00:00Z"}
    found = standings(["a", "b", "c"], state, now=NOW, days=7)
    with pytest.raises(Overdue) as caught:
        refuse_overdue(found, days=7)
    assert caught.value.message == (
        "no successful run within 7 days: a since 2026-11-01T12:00:00Z (20 days), c since 2026-10-01T12:00:00Z (51 days)"
    )
    assert caught.value.exit_code == 1
    refuse_overdue(found[1:2], days=7)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("yesterday", "mini.last_success is 'yesterday', which is no time"),
        ("2026-11-20T12:00:00", "mini.last_success is '2026-11-20T12:00:00', which has no time zone"),
        ("2026-11-22T12:00:00Z", "mini.last_success is '2026-11-22T12:00:00Z', which is yet to come"),
    ],
)
def test_a_time_that_says_nothing_is_an_error(last: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        standing(last)
    assert caught.value.message == message


def test_the_state_is_read_and_what_others_keep_in_it_is_left_alone() -> None:
    text = '{"a": {"last_success": "2026-11-20T12:00:00Z", "attempts": 3}, "b": {}}'
    assert parse_state(text, "state.json") == {"a": "2026-11-20T12:00:00Z", "b": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "state.json is not JSON"),
        ("[]", "state.json holds no object of recipes"),
        ('{"a": "2026"}', "state.json  a.last_success  is no text"),
        ('{"a": {"last_success": 5}}', "state.json  a.last_success  is no text"),
    ],
)
def test_a_broken_state_is_named(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_state(text, "state.json")
    assert caught.value.message.startswith(message)
