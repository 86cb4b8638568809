"""How two command lines differ: flags, the values they take, their defaults, their environment. Pure.

A flag is the same flag on both sides where one spelling of it is.
"""

from collections.abc import Iterator
from typing import Final

from build.report.difference import Area, Change, Kind
from build.report.parts import Part, share
from build.smoke.clihelp import HelpFlag, find_flag

__all__ = ["compare_flags"]

_NO_VALUE: Final = "no value"
_NO_DEFAULT: Final = "none said"

Flags = tuple[HelpFlag, ...]


def compare_flags(left: Flags, right: Flags) -> Part:
    """Compare two helps, in the order of the left one; what is new comes last."""
    changes: list[Change] = []
    equal = 0
    for old in left:
        twins = _twins(old, right)
        found = [change for new in twins for change in _changed(old, new)] if twins else [_gone(old)]
        found += _respelled(old, twins, Kind.GONE) if twins else []
        equal += not found
        changes += found
    for new in right:
        twins = _twins(new, left)
        changes += _respelled(new, twins, Kind.NEW) if twins else [_new(new)]
    total = len(left) + sum(not _twins(new, left) for new in right)
    return Part(changes=tuple(changes), same=(share("flags", equal, total),) if equal else ())


def _twins(flag: HelpFlag, others: Flags) -> Flags:
    """Find what the other side calls by one of a flag's names: one flag, or several into which it was split."""
    found = (find_flag(others, spelling) for spelling in flag.spellings)
    return tuple({id(other): other for other in found if other}.values())


def _gone(old: HelpFlag) -> Change:
    return Change(area=Area.FLAGS, name=old.name, kind=Kind.GONE, before=old.head)


def _new(new: HelpFlag) -> Change:
    return Change(area=Area.FLAGS, name=new.name, kind=Kind.NEW, after=new.head)


def _respelled(flag: HelpFlag, twins: Flags, kind: Kind) -> list[Change]:
    """List the spellings that only one side has, of a flag that both have."""
    there = {spelling for twin in twins for spelling in twin.spellings}
    heads = "; ".join(twin.head for twin in twins)
    before, after = (flag.head, heads) if kind is Kind.GONE else (heads, flag.head)
    return [
        Change(area=Area.FLAGS, name=spelling, kind=kind, before=before, after=after)
        for spelling in flag.spellings
        if spelling not in there
    ]


def _changed(old: HelpFlag, new: HelpFlag) -> Iterator[Change]:
    """Compare a flag with itself on the other side."""
    if new.removed and not old.removed:
        yield Change(
            area=Area.FLAGS, name=old.name, kind=Kind.GONE, before=old.head, after=f"listed, but {new.text}"
        )
        return
    if old.removed and not new.removed:
        yield Change(
            area=Area.FLAGS, name=new.name, kind=Kind.NEW, before=f"listed, but {old.text}", after=new.head
        )
        return
    if old.env != new.env:
        if old.env:
            yield Change(area=Area.FLAGS, name=old.env, kind=Kind.GONE, before=f"sets {old.name}")
        if new.env:
            yield Change(area=Area.FLAGS, name=new.env, kind=Kind.NEW, after=f"sets {new.name}")
    yield from _values(old, new)
    if old.default != new.default:
        yield Change(
            area=Area.DEFAULTS, name=new.name, kind=Kind.CHANGED, before=_default(old), after=_default(new)
        )


def _values(old: HelpFlag, new: HelpFlag) -> Iterator[Change]:
    """Compare value by value where both sides enumerate them, else the placeholders."""
    if old.values and new.values:
        for value in (one for one in old.values if one not in new.values):
            yield Change(area=Area.VALUES, name=new.name, kind=Kind.GONE, before=value)
        for value in (one for one in new.values if one not in old.values):
            yield Change(area=Area.VALUES, name=new.name, kind=Kind.NEW, after=value)
    elif (old.value, old.values) != (new.value, new.values):
        yield Change(
            area=Area.VALUES, name=new.name, kind=Kind.CHANGED, before=_value(old), after=_value(new)
        )


def _value(flag: HelpFlag) -> str:
    listed = ", ".join(flag.values)
    if not listed or any(value in flag.value for value in flag.values):
        return flag.value or _NO_VALUE
    return f"{flag.value}: {listed}"


def _default(flag: HelpFlag) -> str:
    if flag.default is None:
        return _NO_DEFAULT
    return flag.default or '""'
