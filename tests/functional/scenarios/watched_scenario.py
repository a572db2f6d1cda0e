"""A remediation under watch: what the originals' callers send must never be lost."""

from tests.fakes.invariants import watch
from tests.functional.scenarios.remediation_scenario import Scenario


async def planned(scenario: Scenario, **settings: object) -> None:
    """Link, opt in, watch and plan."""
    scenario.build.link()
    scenario.build.share_connections()
    scenario.world.traffic.beat(scenario.world)
    watch(scenario.world)
    await scenario.opt_in(**settings)
    await scenario.order()


def assert_nothing_lost(scenario: Scenario) -> None:
    """Let every system call once more, and hold all calls against what the originals did."""
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.violations == []
    assert scenario.world.traffic.lost == []
