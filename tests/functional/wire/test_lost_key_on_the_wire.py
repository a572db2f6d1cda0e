from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from functions import dashboard_api, status_api
from local_cloud.tenant.core.profiles import Profile
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.principal import Role
from shared.reason import Reason
from shared.use_cases.poll_environments import poll_environments
from tests.fakes.runtime import OneFunctionKey
from tests.functional.scenarios.app_calls import call
from tests.functional.wire.test_keys_on_the_wire import KEY, open_key_client
from tests.functional.wire.wire_scenario import WireScenario, require_retired, serve_wire_scenario
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed

POLL = timedelta(minutes=5)
DAY = timedelta(days=1)


async def pass_time(scenario: WireScenario, time: timedelta, poll: timedelta = POLL) -> None:
    """Let time pass, and poll the environments in between, as the timer does."""
    until = scenario.services.now + time
    while scenario.services.now < until:
        await scenario.run(min(poll, until - scenario.services.now))
        await poll_environments(scenario.services)


async def set_key_enabled(scenario: WireScenario, *, is_enabled: bool) -> None:
    async with open_key_client(scenario) as keys:
        version = (await keys.get_key(KEY)).properties.version
        await keys.update_key_properties(KEY, version, enabled=is_enabled)


async def read_status(scenario: WireScenario) -> list[dict[str, str]]:
    """Return the actions required, as `cmkflow status` shows them."""
    found: list[dict[str, str]] = (await call(status_api.show_status)).document["pending_actions"]
    return found


def provide_services_to_api(scenario: WireScenario) -> None:
    """Provide the scenario's services to the API and the dashboard.

    The function key has all roles.
    """
    services, everybody = scenario.services, {"function_key_roles": tuple(Role)}
    settings = services.settings.model_copy(update=everybody)
    provide(replace(services, settings=settings, function_keys=OneFunctionKey()))


@pytest.mark.parametrize(
    ("profile", "after"),
    [
        (Profile.DOCUMENTED, timedelta(seconds=1)),
        (Profile.ADVERSARIAL, timedelta(minutes=20)),
        (Profile.DOCUMENTED, 6 * DAY),
    ],
    ids=["at the start", "in the middle", "before retiring"],
)
async def test_revoked_key_stops_the_app_until_it_is_restored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile, after: timedelta
) -> None:
    seed = build_tenant_seed(build_orders_seed(), profile=profile)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        provide_services_to_api(scenario)
        originals = len(scenario.environment.order)
        await scenario.order(run=timedelta(0))
        await pass_time(scenario, after, poll=max(POLL, after / 4))
        before = [flow.state for flow in scenario.environment.order]
        made = len(before) - originals
        await set_key_enabled(scenario, is_enabled=False)

        await pass_time(scenario, DAY, poll=timedelta(hours=1))

        [required] = await read_status(scenario)
        page = (await call(dashboard_api.show_status_page)).content.decode()
        waiting = await scenario.read_jobs()
        called = await scenario.post(scenario.get_trigger_url())
        during = [flow.state for flow in scenario.environment.order]
        await set_key_enabled(scenario, is_enabled=True)
        await pass_time(scenario, timedelta(minutes=30))
        restored = await read_status(scenario)
        await pass_time(scenario, 5 * DAY, poll=DAY)
        early = (await scenario.read_job()).state
        await pass_time(scenario, 40 * DAY, poll=DAY)
        await require_retired(scenario)
        copies = len(scenario.environment.order) - len(before)

    assert required["reason_code"] == Reason.KEY_PROBLEM
    assert "The key is disabled" in required["message"]
    assert scenario.environment.display_name in required["message"]
    assert "az keyvault key set-attributes" in required["fix"]
    assert "1 action required" in page
    assert "The key is disabled" in page
    assert {job.state for job in waiting.values()} <= {FlowJobState.WAITING, FlowJobState.PLANNED}
    assert before == during
    assert called == 403
    assert restored == []
    assert early is not FlowJobState.RETIRED, "no call could arrive while the key was revoked"
    assert copies == 1 - made
