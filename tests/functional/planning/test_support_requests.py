from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import PolicyLinkStatus
from shared.domain.keys.environment_checks import ENVIRONMENT_LIMIT, ENVIRONMENT_WARNING
from shared.domain.plans.notification import list_actions_to_notify
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.plans.support_request import SupportRequest, SupportRequestState
from shared.errors import Conflict, NotFound, ServiceUnavailable
from shared.use_cases.manage_support_requests import (
    SupportRequestView,
    list_support_requests,
    record_filing,
    reopen_request,
    show_support_request,
    update_environment_limit_request,
)
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_status import read_pending_actions
from tests.fakes.builder import Builder
from tests.fakes.fault_injection import Failing
from tests.functional.scenarios.remediation_scenario import Scenario

LIMIT = "environment-limit"


async def open_support_request(scenario: Scenario, cause: str = "first") -> SupportRequest:
    """Let the poll see that a key is applied and that its migration ends. Return the request that
    the app then opens.
    """
    link = scenario.build.apply_key()
    environment = scenario.build.environment
    environment.policy = replace(link, status=PolicyLinkStatus.LINKING)
    await poll_environments(scenario.services)
    environment.policy = link
    scenario.world.clock.advance(timedelta(minutes=5))
    await poll_environments(scenario.services)
    await scenario.order(cause=cause)
    [request] = await list_support_requests(scenario.services)
    return request


def get_text(shown: SupportRequestView) -> str:
    return "\n".join(shown.draft.lines)


async def find_actions(scenario: Scenario) -> list[PendingAction]:
    found = await read_pending_actions(scenario.services)
    return [one for one in found.items if one.kind is PendingActionKind.SUPPORT_REQUEST]


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.add_mail_flow("Mail")
    await scenario.opt_in()
    return scenario


async def test_request_has_every_fact_of_the_environment(scenario: Scenario) -> None:
    request = await open_support_request(scenario)

    shown = await show_support_request(scenario.services, request.id)

    environment = scenario.build.environment
    policy = environment.policy
    assert policy is not None
    flows = [flow.workflow_id for flow in scenario.world.list_flows()]
    assert sorted(shown.flow_ids) == sorted(flows)
    facts = [environment.id, environment.display_name, "europe", policy.policy_id, *flows]
    assert [one for one in facts if one not in get_text(shown)] == []
    assert f"{request.migrated_at:%Y-%m-%d %H:%M} UTC" in get_text(shown)
    assert environment.id in shown.draft.subject


async def test_copies_are_not_in_the_draft(scenario: Scenario) -> None:
    """A copy has no run history from before the key."""
    request = await open_support_request(scenario)
    await scenario.approve(run=timedelta(days=20))
    copies = {flow.workflow_id for flow in scenario.world.list_flows() if flow.made_by_app}

    shown = await show_support_request(scenario.services, request.id)

    assert copies
    assert copies.isdisjoint(shown.flow_ids)


async def test_draft_says_why_the_flows_are_unknown(scenario: Scenario) -> None:
    request = await open_support_request(scenario)
    failing = Failing(ServiceUnavailable("out"))
    services = replace(scenario.services, flow_pages=failing)

    shown = await show_support_request(services, request.id)

    assert shown.flow_ids == ()
    assert "out" in shown.flows_unknown_reason
    assert request.environment_id in get_text(shown)


async def test_notification_of_the_last_days_does_not_name_more_days(scenario: Scenario) -> None:
    request = await open_support_request(scenario)
    assert request.closes_at
    scenario.world.clock.advance_to(request.closes_at - timedelta(days=1))

    sent = list_actions_to_notify(await find_actions(scenario), (), scenario.world.clock.now())

    [title] = [action.title for action in sent.values()]
    assert title.endswith("its support window closes within a week")


async def test_days_count_down_until_the_window_closes(scenario: Scenario) -> None:
    request = await open_support_request(scenario)
    now = scenario.world.clock.now

    first = await find_actions(scenario)
    scenario.world.clock.advance(timedelta(days=10, hours=1))
    await run_daily_check(scenario.services, "later")
    await scenario.run(timedelta(minutes=5))
    second = await find_actions(scenario)
    [later] = await list_support_requests(scenario.services)
    left = later.count_days_left(now())
    scenario.world.clock.advance(timedelta(days=20))

    assert "30 days left" in first[0].message
    assert "count from when the app saw the platform migration complete" in first[0].message
    assert first[0].expires_at == second[0].expires_at == request.closes_at
    assert left == 20
    assert "20 days left" in second[0].message
    assert later.find_state(now()) is SupportRequestState.EXPIRED
    assert await find_actions(scenario) == []


async def test_filed_request_ends_the_countdown_until_it_is_reopened(scenario: Scenario) -> None:
    request = await open_support_request(scenario)

    filed = await record_filing(scenario.services, request.id, by="ada", ticket_number="2603-1")
    again = await record_filing(scenario.services, request.id, by="bob", ticket_number="2603-1")
    after_filing = await find_actions(scenario)
    opened = await reopen_request(scenario.services, request.id)

    assert (filed.filed_by, filed.ticket_number) == ("ada", "2603-1")
    assert filed.filed_at == scenario.services.now
    assert filed.count_days_left(scenario.services.now) is None
    assert again == filed
    assert after_filing == []
    assert opened == request
    assert await reopen_request(scenario.services, request.id) == request
    assert len(await find_actions(scenario)) == 1


async def test_concurrent_marks_are_not_lost(scenario: Scenario) -> None:
    request = await open_support_request(scenario)
    table = scenario.services.tables.support_requests
    kept = await table.get("support_request", request.id)
    assert kept is not None
    await record_filing(scenario.services, request.id, by="ada", ticket_number="1")

    with pytest.raises(Conflict):
        await table.replace(kept, kept.item)
    [stored] = await list_support_requests(scenario.services)
    assert stored.filed_by == "ada"


async def test_key_that_the_app_did_not_see_applied_has_no_window(scenario: Scenario) -> None:
    """The app needs the time at which the platform migration ended."""
    scenario.build.apply_key()
    await poll_environments(scenario.services)

    await scenario.order()

    assert await list_support_requests(scenario.services) == []


async def test_key_that_is_removed_and_applied_again_opens_a_new_request(
    scenario: Scenario,
) -> None:
    """The platform migrates the flows again."""
    first = await open_support_request(scenario)
    await record_filing(scenario.services, first.id, by="ada", ticket_number="1")
    scenario.build.environment.policy = None
    scenario.world.clock.advance(timedelta(days=40))
    await poll_environments(scenario.services)
    scenario.world.clock.advance(timedelta(days=1))

    second = await open_support_request(scenario, cause="second")

    assert (second.id, second.filed_by) == (first.id, "")
    assert second.opened_at - first.opened_at > timedelta(days=40)


async def test_unknown_request_is_not_found(scenario: Scenario) -> None:
    with pytest.raises(NotFound):
        await record_filing(scenario.services, LIMIT, by="ada", ticket_number="1")


async def test_request_for_more_environments_is_open_near_the_limit(scenario: Scenario) -> None:
    for number in range(ENVIRONMENT_WARNING - 1):
        Builder(scenario.world, name=f"Environment {number}").apply_key()
    scenario.build.apply_key()
    await poll_environments(scenario.services)
    every = await scenario.services.environments.list()
    await update_environment_limit_request(scenario.services, every[1:])
    below = await list_support_requests(scenario.services)

    await update_environment_limit_request(scenario.services, every)
    shown = await show_support_request(scenario.services, LIMIT)
    [action] = await find_actions(scenario)
    await update_environment_limit_request(scenario.services, every[1:])
    removed = await list_support_requests(scenario.services)
    await update_environment_limit_request(scenario.services, every)
    await record_filing(scenario.services, LIMIT, by="ada", ticket_number="1")
    await update_environment_limit_request(scenario.services, every[1:])

    assert below == removed == []
    assert f"today: {ENVIRONMENT_WARNING}" in get_text(shown)
    assert f"{ENVIRONMENT_LIMIT}" in get_text(shown)
    assert all(one.id in get_text(shown) for one in every)
    assert action.expires_at is None
    assert [one.id for one in await list_support_requests(scenario.services)] == [LIMIT]
