"""`python -m patching ORDERS --context DIR --ledger FILE`: diffs, then patch sets, then the ledger; 1 where it must not go on.

DIR holds `edits/` (files as the diffs leave them), `sets/<name>/` (patch sets as their commits have them) and `ours/` (the
recipe's own files). The ledger is written also where the build ends, and printed then.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .bytecode import compile_again
from .diffs import apply_diffs
from .judge import Entry, SetEntry, faults, judge_diffs, judge_set
from .orders import Orders, SetOrder, read_orders
from .place import place_set
from .refused import Refused
from .run import Ran, run_set
from .snapshot import Watched

FORMAT = 1


def _changed_texts(ran: Ran, site: Path) -> dict[str, str]:
    return {
        change.path: (site / change.path).read_text(encoding="utf-8", errors="replace")
        for change in ran.changes
        if change.after
    }


def _run(order: SetOrder, context: Path, site: Path, watched: Watched) -> Ran:
    ran = run_set(order, context / "ours", site, watched)
    if order.registry and not ran.observed:
        message = f"{order.name}: no patch of it ran; it ended with status {ran.status}:\n{ran.tail}"
        raise Refused(message)
    sys.stderr.write(ran.output)
    return ran


def carry_out(orders: Orders, context: Path) -> tuple[tuple[SetEntry, ...], tuple[Entry, ...]]:
    """Change the installed packages and say what happened."""
    site = Path(orders.site)
    watched = Watched(Path(sys.prefix), site)
    apply_diffs(orders.diffs, context / "edits", site)
    changed = [*watched.changes()]
    sets, entries = [], judge_diffs(orders.diffs)
    for order in orders.sets:
        place_set(order, context / "sets" / order.name, context / "ours", site)
        changed += watched.changes()
        ran = _run(order, context, site, watched)
        changed += ran.changes
        one, more = judge_set(order, ran, _changed_texts(ran, site))
        sets.append(one)
        entries += more
    compile_again(changed, site)
    return tuple(sets), entries


def ledger(site: str, sets: tuple[SetEntry, ...], entries: tuple[Entry, ...]) -> str:
    """Write the ledger as text: no time, no path of a host, the same for the same inputs."""
    document = {
        "format": FORMAT,
        "site": site,
        "sets": [asdict(one) for one in sets],
        "patches": [asdict(one) for one in entries],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="patching", description=__doc__)
    parser.add_argument("orders", type=Path)
    parser.add_argument("--context", type=Path, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    asked = parser.parse_args(arguments)
    orders = read_orders(json.loads(asked.orders.read_text(encoding="utf-8")))
    try:
        sets, entries = carry_out(orders, asked.context)
    except Refused as error:
        sys.stderr.write(f"patch ledger: {error}\n")
        return 1
    asked.ledger.parent.mkdir(parents=True, exist_ok=True)
    asked.ledger.write_text(ledger(orders.site, sets, entries), encoding="utf-8")
    for entry in entries:
        sys.stderr.write(f"patch ledger: {entry.set or 'diff'} {entry.id}: {entry.outcome}\n")
    wrong = faults(sets, entries)
    for line in wrong:
        sys.stderr.write(f"patch ledger: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
