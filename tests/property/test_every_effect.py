"""Test that no fault in a write of the app changes how its jobs end."""

import asyncio
from functools import cache

import pytest

from tests.property.interrupted_effects import Fault, find_all_sites
from tests.property.interrupted_scenarios import SCENARIOS, STRUCK_SCENARIOS


@cache
def find_effects(name: str) -> frozenset[str]:
    """Return the effects whose writes the scenario sends without a fault."""
    return frozenset(asyncio.run(SCENARIOS[name]()).seen) & find_all_sites()


def test_scenarios_reach_every_effect() -> None:
    """If this fails, add a scenario for the new effect to `interrupted_scenarios.py`."""
    assert find_all_sites().difference(*map(find_effects, SCENARIOS)) == set()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", SCENARIOS)
def test_failed_effect_does_not_change_the_end_of_a_job(name: str, fault: Fault) -> None:
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
    [site] = (one for one in find_effects("declared") if one.endswith("write_places"))

    striker = asyncio.run(SCENARIOS["declared"](site, fault))

    assert striker.has_struck
