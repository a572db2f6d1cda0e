from pathlib import Path

import pytest

from local_cloud.tenant.core.profiles import Profile
from shared.domain.solution_setting import SolutionSettingState
from shared.errors import MustWait
from shared.use_cases.change_solution_setting import (
    SolutionSettingView,
    revert_solution_setting,
    turn_on_solution_setting,
)
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT

SETTING = "enableflowsinsolutionbydefault"


@pytest.mark.parametrize("profile", Profile)
async def test_setting_is_changed_and_restored(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant_seed(build_orders_seed(), profile=profile)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        [row] = scenario.environment.get_table("organizations").values()
        before = {name: value for name, value in row.items() if not name.endswith(("on", "number"))}

        on = await repeat_until_read_back(scenario, turn_on_solution_setting)
        is_on = row[SETTING]
        off = await repeat_until_read_back(scenario, revert_solution_setting)
        after = {name: value for name, value in row.items() if name in before}

    assert is_on is on.is_on is True
    assert off.is_on is False
    assert off.change is not None
    assert off.change.state is SolutionSettingState.REVERTED
    assert after == before


async def repeat_until_read_back(scenario: WireScenario, request: object) -> SolutionSettingView:
    """Repeat a request until the app can read its change. Return the result."""
    assert callable(request)
    for _ in range(20):
        try:
            shown = await request(scenario.services, ENVIRONMENT, by="ada")
        except MustWait as not_yet:
            clock = scenario.tenant.clock
            clock.advance((not_yet.until - clock.now()).total_seconds())
        else:
            assert isinstance(shown, SolutionSettingView)
            return shown
    raise AssertionError("the change is never visible")
