"""Applies every patch in order and counts. 0: all were applied or passed over; 1: one failed."""

import importlib
import sys
from dataclasses import dataclass
from typing import Callable


@dataclass
class PatchResult:
    name: str
    status: str
    reason: str = ""


PATCH_REGISTRY: list[tuple[str, Callable[[], PatchResult]]] = []


def register(title: str, module: str) -> None:
    def run() -> PatchResult:
        wiring = importlib.import_module(f"{__package__}.wiring.{module}")
        return PatchResult(title, *wiring.apply())

    PATCH_REGISTRY.append((title, run))


register("M1 capacity for each group", "m1_capacity")
register("M2 none beside null", "m2_none")
register("M3 longer queue", "m3_queue")
register("M4 floor of the batch size", "m4_floor")
register("M5 next request by age", "m5_next")
register("M6 more workers", "m6_workers")
register("M8 size without a batch", "m8_model")
register("M7 other defaults (opt-in)", "m7_defaults")


def run() -> list[PatchResult]:
    results = []
    for title, patch in PATCH_REGISTRY:
        try:
            results.append(patch())
        except Exception as error:
            results.append(PatchResult(title, "failed", f"{type(error).__name__}: {error}"))
        print(f"[mini] {results[-1].status}: {title} ({results[-1].reason})")
    count = {
        status: sum(one.status == status for one in results) for status in ("applied", "skipped", "failed")
    }
    print(f"Results: {count['applied']} applied, {count['skipped']} skipped, {count['failed']} failed")
    return results


def main() -> int:
    return int(any(one.status == "failed" for one in run()))


if __name__ == "__main__":
    sys.exit(main())
