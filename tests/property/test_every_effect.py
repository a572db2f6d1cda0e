"""Test that no fault in a write of the app changes how its jobs end."""

import asyncio
from functools import cache

import pytest

from tests.property.struck_effects import Fault, find_all_sites
from tests.property.struck_scenarios import SCENARIOS, STRUCK_SCENARIOS


@cache
def find_effects(name: str) -> frozenset[str]:
    """Return the effects whose writes a scenario sends if no fault is injected."""
    return frozenset(asyncio.run(SCENARIOS[name]()).seen) & find_all_sites()


def test_scenarios_reach_every_effect() -> None:
    """For a new effect of the app, `struck_scenarios.py` needs a scenario that reaches it."""
    assert find_all_sites().difference(*map(find_effects, SCENARIOS)) == set()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", SCENARIOS)
def test_failed_effect_does_not_change_the_end_of_a_job(name: str, fault: Fault) -> None:
    """Each job ends as without the fault, after a retry if necessary, and can be rolled back. A
    person is notified of a lasting fault. No call is lost, and the service account keeps no
    co-ownership.
    """
    earlier = list(SCENARIOS)[: list(SCENARIOS).index(name)]
    struck = {
        site
        for site in frozenset().union(*map(find_effects, earlier))
        if not site.startswith(STRUCK_SCENARIOS[name].strikes_again)
    }
    wrong = []
    for site in sorted(find_effects(name) - struck):
        try:
            striker = asyncio.run(SCENARIOS[name](site, fault))
        except AssertionError as error:
            wrong.append(f"{site}: {error}")
        else:
            wrong += [] if striker.has_struck else [f"{site} was not struck"]
    assert wrong == []


@pytest.mark.parametrize("fault", Fault)
def test_failed_creation_of_a_secret_does_not_change_the_end_of_a_job(fault: Fault) -> None:
    """The creation of a URL secret follows the same protocol as the update of a caller."""
    [site] = (one for one in find_effects("declared") if one.endswith("write_places"))

    striker = asyncio.run(SCENARIOS["declared"](site, fault))

    assert striker.has_struck
