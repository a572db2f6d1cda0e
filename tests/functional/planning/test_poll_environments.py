from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import PolicyLinkStatus
from shared.errors import PlatformError
from shared.queues import POLICY_EVENTS
from shared.reason import Reason
from shared.use_cases.poll_environments import poll_environments
from tests.fakes.crash import Moment, Plan, was_killed
from tests.fakes.fault_injection import Failing
from tests.fakes.services import build_fake_services
from tests.functional.scenarios.remediation_scenario import Scenario

MINUTE = timedelta(minutes=1)


async def poll_once(scenario: Scenario, plan: Plan | None = None) -> bool:
    """Poll once, and return whether the process was killed."""
    ports = scenario.fakes.ports
    services = build_fake_services(
        ports.wrap_with_plan(plan) if plan else ports, settings=scenario.settings
    )
    try:
        await poll_environments(services)
    except BaseException as error:
        if not was_killed(error):
            raise
        return True
    return False


def list_sent_events(scenario: Scenario) -> list[dict[str, object]]:
    """Return the sent events, including duplicates, which the queue would drop."""
    waiting = scenario.fakes.messages.list_waiting_messages(POLICY_EVENTS)
    return [dict(one.body) for one in waiting]


@pytest.mark.parametrize("moment", Moment)
async def test_event_of_a_link_keeps_its_id_after_a_kill(moment: Moment) -> None:
    at, struck = 0, True
    while struck:
        at += 1
        scenario = Scenario()
        scenario.build.apply_key()

        struck = await poll_once(scenario, Plan(at=at, moment=moment))
        scenario.world.clock.advance(MINUTE)
        await poll_once(scenario)
        scenario.world.clock.advance(MINUTE)
        await poll_once(scenario)

        told = list_sent_events(scenario)
        assert len({str(one["id"]) for one in told}) == 1, at
        assert len({str(one["data"]) for one in told}) == 1, at
    assert at > 1


async def test_repeated_link_is_a_new_event() -> None:
    scenario = Scenario()
    link = scenario.build.apply_key()

    await poll_once(scenario)
    scenario.world.clock.advance(MINUTE)
    scenario.build.environment.policy = None
    await poll_once(scenario)
    scenario.world.clock.advance(MINUTE)
    scenario.build.environment.policy = link
    await poll_once(scenario)
    await poll_once(scenario)

    told = list_sent_events(scenario)
    assert [str(one["type"]).rsplit(".", 1)[-1] for one in told] == [
        "EnvironmentPolicyLinked",
        "EnvironmentPolicyUnlinked",
        "EnvironmentPolicyLinked",
    ]
    assert len({str(one["id"]) for one in told}) == 3


async def test_repeated_link_status_is_sent_again_with_the_same_link_time() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    policy = scenario.build.environment.policy
    assert policy is not None

    for status in (PolicyLinkStatus.LINKED, PolicyLinkStatus.LINKING, PolicyLinkStatus.LINKED):
        scenario.build.environment.policy = type(policy)(
            policy_id=policy.policy_id, system_id=policy.system_id, status=status
        )
        await poll_once(scenario)
        scenario.world.clock.advance(MINUTE)

    told = list_sent_events(scenario)
    assert len({str(one["id"]) for one in told}) == 3
    assert len({str(one["data"]["linkedSince"]) for one in told}) == 1  # type: ignore[index]


async def test_new_environment_name_is_stored_without_an_event() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    await poll_once(scenario)

    scenario.build.environment.display_name = "Contoso renamed"
    await poll_once(scenario)

    (link,) = await scenario.services.tables.policy_links.read_all()
    assert link.environment_name == "Contoso renamed"
    assert len(list_sent_events(scenario)) == 1


async def test_keys_that_cannot_be_checked_do_not_fail_the_poll() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    scenario.build.environment.is_enabled = False
    rejected = PlatformError("no role", code="AuthorizationFailed", status=403)

    services = replace(scenario.services, keys=Failing(rejected))
    changed = await poll_environments(services)

    [alert] = await scenario.services.tables.key_alerts.read_all()
    assert changed == len(list_sent_events(scenario)) == 1
    assert "no role" in alert.finding.message


async def test_disabled_environment_leads_to_key_checks_until_the_key_works() -> None:
    """The platform sends no event when a key is revoked or restored."""
    scenario = Scenario()
    scenario.build.apply_key()
    await poll_once(scenario)
    tables, keys = scenario.services.tables, dict(scenario.world.keys)

    scenario.world.keys.clear()
    scenario.build.environment.is_enabled = False
    await poll_once(scenario)
    [lost] = await tables.key_alerts.read_all()
    (link,) = await tables.policy_links.read_all()
    scenario.world.keys.update(keys)
    scenario.build.environment.is_enabled = True
    await poll_once(scenario)

    assert (lost.reason_code, lost.finding.code) == (Reason.KEY_PROBLEM, "key_enabled")
    assert "These environments are disabled: " in lost.finding.message
    assert link.last_disabled_at == scenario.services.now
    assert await tables.key_alerts.read_all() == []
