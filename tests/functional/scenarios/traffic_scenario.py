"""Run a remediation during which no call to an original or copy may be lost."""

from tests.fakes.invariants import watch
from tests.functional.scenarios.remediation_scenario import Scenario


async def plan_remediation(scenario: Scenario, **settings: object) -> None:
    """Apply a key, check all invariants from now on, and start a remediation."""
    scenario.build.apply_key()
    scenario.build.share_connections()
    scenario.world.traffic.beat(scenario.world)
    watch(scenario.world)
    await scenario.start_remediation(**settings)


def assert_nothing_lost(scenario: Scenario) -> None:
    """Let every system call once more, and check the calls and all invariants."""
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.violations == []
    assert scenario.world.traffic.lost_calls == []
