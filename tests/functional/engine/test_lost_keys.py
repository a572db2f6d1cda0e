from datetime import timedelta

import pytest

from functions import dashboard_api, status_api
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import EnvironmentDisabled, StorageKeyUnusable
from shared.queues import POISON
from shared.reason import Reason
from shared.services import Services
from tests.functional.engine.test_outages import (
    Outage,
    assert_completes,
    build_requested_scenario,
    list_platform_fakes,
)
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)
AFTER = pytest.mark.parametrize(
    "after",
    [timedelta(0), timedelta(minutes=1), timedelta(days=7, minutes=-1)],
    ids=["at the order", "in the middle", "before retiring"],
)


def build_cut_off_services(scenario: Scenario, outage: Outage) -> Services:
    """Return the services of a process whose store fails during the outage."""
    return scenario.make(scenario.fakes.ports.wrap_with_plan(outage))


@AFTER
async def test_storage_account_without_its_key_loses_no_message(after: timedelta) -> None:
    scenario, outage = await build_requested_scenario()
    await scenario.run(after)
    outage.error = lambda: StorageKeyUnusable("KeyVaultEncryptionKeyNotFound")
    outage.begin("MemoryStore", lasts=5 * DAY)

    await assert_completes(scenario)

    assert outage.calls_out
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_requests_name_the_key_of_the_storage_account_and_its_fix() -> None:
    scenario, outage = await build_requested_scenario()
    outage.error = lambda: StorageKeyUnusable("KeyVaultEncryptionKeyNotFound")
    outage.begin("MemoryStore")
    provide(build_cut_off_services(scenario, outage))

    status = await call(status_api.show_status)
    page = await call(dashboard_api.show_status_page)

    assert (status.status, page.status) == (503, 503)
    assert status.document["reason_code"] == Reason.STORAGE_KEY_UNUSABLE
    assert status.document["fix"] == Reason.STORAGE_KEY_UNUSABLE.fix
    for text in (status.content.decode(), page.content.decode()):
        assert "KeyVaultEncryptionKeyNotFound" in text
        assert "Restore the key of the storage account" in text


@AFTER
async def test_disabled_environment_gets_few_requests_and_needs_no_person(
    after: timedelta,
) -> None:
    scenario, outage = await build_requested_scenario()
    await scenario.run(after)
    services = [one for one in list_platform_fakes() if "Keys" not in one]
    outage.error = lambda: EnvironmentDisabled("is currently disabled (0x8004a104)")
    outage.begin(*services, lasts=2 * DAY)
    await scenario.run(DAY)

    waiting = list((await scenario.read_jobs()).values())
    reasons = {one.reason_code for one in waiting if one.state is FlowJobState.WAITING}
    assert FlowJobState.BLOCKED not in {one.state for one in waiting}
    assert reasons <= {Reason.ENVIRONMENT_DISABLED, Reason.NO_CALL_PERIOD}
    assert max(outage.calls_out.values(), default=0) < 300

    await assert_completes(scenario)
