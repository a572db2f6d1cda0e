"""Pause or kill remediations at many requests, and print how often this broke an invariant. `python
-m tests.property.count_interruptions copying --every 100` remediates tenants with flows of every
kind that are copied. It interrupts each remediation at every 100th request, once before and once
after the request. The length of a pause and the time of a person's action differ between requests,
but are the same in each run. With `--every 1`, a run takes hours.
"""

import argparse
import asyncio
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random

from shared.use_cases import change_remediation
from tests.fakes.crash import Moment
from tests.property.interrupted import (
    MINUTE,
    PREPARED,
    Interrupted,
    Order,
    Strike,
    build_copied,
    build_prepared,
)
from tests.property.test_remediation_invariants import INGREDIENTS

ORDERS: dict[str, Order | None] = {
    "nothing else": None,
    "rolled back": change_remediation.roll_back,
    "cancelled": change_remediation.cancel,
    "retried": change_remediation.retry,
}
STRIKES = [*(("paused", order) for order in ORDERS), ("killed", "rolled back")]
PATTERNS = {"copying": sorted(INGREDIENTS), "preparing": sorted(PREPARED)}


def build_interrupted(pattern: str, strike: Strike) -> Interrupted:
    return (
        build_prepared(pattern, strike) if pattern in PREPARED else build_copied([pattern], strike)
    )


def interrupt_pattern(
    pattern: str, order: str, *, every: int, kills: bool
) -> tuple[int, list[str]]:
    """Return the number of interruptions, and a line for each that broke an invariant."""
    logging.disable()
    struck, wrong = 0, []
    for at in count(1, every):
        missed = 0
        for moment in Moment:
            random = Random(at)  # noqa: S311 -- repeatable
            minutes = random.randint(1, 9)
            sleep = None if kills else timedelta(minutes=minutes, seconds=30)
            after = random.randint(0, minutes) * MINUTE
            strike = Strike(at=at, moment=moment, sleep=sleep)
            try:
                was_struck = asyncio.run(
                    build_interrupted(pattern, strike).play(ORDERS[order], after=after)
                )
            except AssertionError as err:
                wrong.append(f"{pattern}, {order}, {after} after {strike}: {err}")
                was_struck = True
            struck += was_struck
            missed += not was_struck
        if missed == len(Moment):
            return struck, wrong
    raise AssertionError("unreachable")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=PATTERNS)
    parser.add_argument("--every", type=int, default=100, metavar="CALLS")
    given = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        print("| What was done | Times | Violations |\n|---|---|---|")
        for how, order in STRIKES:
            play = partial(interrupt_pattern, order=order, every=given.every, kills=how == "killed")
            counts = list(pool.map(play, PATTERNS[given.what]))
            wrong = [one for _, found in counts for one in found]
            times = sum(struck for struck, _ in counts)
            print(f"| {how} while {given.what}, {order} | {times:,} | {len(wrong)} |", flush=True)
            for one in wrong:
                print(one)


if __name__ == "__main__":
    main()
