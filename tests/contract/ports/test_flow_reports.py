import json
from datetime import timedelta

import pytest

from shared.domain.callers.call_headers import NOT_READ, CallerSource, CallTraits
from shared.domain.environment import PolicyLinkStatus
from shared.domain.flow import FlowState, WorkflowUpdate
from shared.errors import NotFound, PlatformError
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.contract.ports.test_workflows import COPY, TURN_ON, build_draft
from tests.local_cloud.tenant.tenant_world import (
    BUTTON,
    BUTTON_FLOW,
    CALLING_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    OTHER_REGION,
    PARENT_FLOW,
    POLICY_ID,
    TENANT_AUTH_FLOW,
    build_child_action,
    build_client_data,
    build_definition,
)

ALL = {HTTP_FLOW, PARENT_FLOW, DAILY_FLOW, CALLING_FLOW, TENANT_AUTH_FLOW, BUTTON_FLOW}
STAYING = {HTTP_FLOW, PARENT_FLOW, TENANT_AUTH_FLOW}


async def test_environments_are_listed_and_read(side: Side) -> None:
    before = {environment.id: environment for environment in await side.ports.environments.list()}
    await side.hands.link()
    after = await side.read_environment()

    assert set(before) == {ENVIRONMENT, OTHER_REGION}
    assert before[ENVIRONMENT].policy is None
    assert before[ENVIRONMENT].dataverse_url == "https://contoso.api.crm4.dynamics.com"
    assert before[OTHER_REGION].dataverse_url is None
    assert before[OTHER_REGION].geography == "unitedstates"
    assert after.is_linked
    assert after.is_managed
    assert after.policy is not None
    assert after.policy.status is PolicyLinkStatus.LINKED
    assert after.policy.policy_id == POLICY_ID.lower()
    assert after.policy.system_id.startswith("/regions/europe/")
    assert (after.region, after.sku) == ("westeurope", "Production")
    assert await side.ports.environments.get_cached(ENVIRONMENT) == after


async def test_cached_environment_may_be_outdated(side: Side) -> None:
    environments = side.ports.environments
    before = await environments.get(ENVIRONMENT)
    await side.hands.link()

    assert await environments.get_cached(ENVIRONMENT) == before
    after = await environments.get(ENVIRONMENT)
    assert after.is_linked
    assert await environments.get_cached(ENVIRONMENT) == after


async def test_missing_environment_or_flow_is_not_found(side: Side) -> None:
    with pytest.raises(NotFound):
        await side.ports.environments.get(STRANGER)
    with pytest.raises(NotFound):
        await side.ports.environments.get_cached(STRANGER)
    with pytest.raises(NotFound):
        await side.ports.flow_reports.get_flow(ENVIRONMENT, STRANGER)


async def test_flow_service_rejects_an_unknown_environment(side: Side) -> None:
    """The flow service answers in the same way if the app has no rights in the environment."""
    ports = side.ports

    with pytest.raises(PlatformError, match="EnvironmentAccessDenied"):
        await ports.flow_reports.list_flows(STRANGER)
    with pytest.raises(PlatformError, match="EnvironmentAccessDenied"):
        await ports.flow_reports.get_flow(STRANGER, HTTP_FLOW)
    with pytest.raises(PlatformError, match="EnvironmentAccessDenied"):
        await ports.flow_pages.read_flows(STRANGER)
    with pytest.raises(PlatformError, match="EnvironmentAccessDenied"):
        await ports.flow_switch.stop(STRANGER, HTTP_FLOW)
    with pytest.raises(PlatformError, match="EnvironmentAccessDenied"):
        await ports.flow_placement.add_to_solution(STRANGER, [HTTP_FLOW])


async def test_both_lists_are_equal_after_the_platform_migration(side: Side) -> None:
    report = side.ports.flow_reports.read_microsoft_key_flows

    await side.hands.link()
    all_before = await report(ENVIRONMENT, cannot_migrate_only=False)
    stay_before = await report(ENVIRONMENT, cannot_migrate_only=True)
    await side.hands.migrate()
    all_after = await report(ENVIRONMENT, cannot_migrate_only=False)
    stay_after = await report(ENVIRONMENT, cannot_migrate_only=True)

    assert {flow.flow_name for flow in all_before.items} == ALL
    for reported in (stay_before, all_after, stay_after):
        assert {flow.workflow_id for flow in reported.items} == STAYING


@pytest.mark.parametrize("moves", [True, False])
async def test_edited_flow_is_no_longer_listed_as_unable_to_migrate(
    side: Side, *, moves: bool
) -> None:
    """The edited flow moves to your key, or stays only in the list of all flows."""
    side.hands.assumptions.edited_flows_migrate = moves
    report, workflows = side.ports.flow_reports.read_microsoft_key_flows, side.ports.workflows
    await side.hands.link()
    await side.hands.migrate()
    edit = WorkflowUpdate(client_data=build_client_data(build_definition(BUTTON)))
    await workflows.update(await side.read_environment(), HTTP_FLOW, edit, etag="*")

    listed = await report(ENVIRONMENT, cannot_migrate_only=False)
    every = {flow.workflow_id for flow in listed.items}
    stay = {
        flow.workflow_id for flow in (await report(ENVIRONMENT, cannot_migrate_only=True)).items
    }

    # Its parent, which has no other reason to stay, moves too.
    assert stay == STAYING - {HTTP_FLOW, PARENT_FLOW}
    assert every == (stay if moves else STAYING)


async def test_parent_of_a_copy_on_your_key_does_not_stay_on_microsofts_key(side: Side) -> None:
    await side.hands.link()
    await side.hands.migrate()
    environment, workflows = await side.read_environment(), side.ports.workflows
    await workflows.create(environment, build_draft(side))
    rewired = WorkflowUpdate(
        client_data=build_client_data(build_definition(BUTTON, build_child_action(COPY)))
    )
    await workflows.update(environment, COPY, TURN_ON, etag="*")
    await workflows.update(environment, PARENT_FLOW, rewired, etag="*")

    reports = side.ports.flow_reports
    stay = await reports.read_microsoft_key_flows(ENVIRONMENT, cannot_migrate_only=True)

    assert {flow.workflow_id for flow in stay.items} == STAYING - {PARENT_FLOW}


async def test_list_of_flows_contains_no_definitions(side: Side) -> None:
    flows = {flow.flow_name: flow for flow in await side.ports.flow_reports.list_flows(ENVIRONMENT)}

    assert set(flows) == ALL
    assert {flow.state for flow in flows.values()} == {FlowState.ON}
    assert flows[BUTTON_FLOW].workflow_id is None
    assert flows[HTTP_FLOW].workflow_id == HTTP_FLOW
    assert flows[HTTP_FLOW].display_name == "Receive order"


async def test_definition_from_the_flow_service_has_the_dataverse_format(side: Side) -> None:
    """The app can write such a definition to `clientdata`."""
    detail = await side.ports.flow_reports.get_flow(ENVIRONMENT, HTTP_FLOW)

    given = json.loads(detail.client_data or "")
    assert given["properties"] == {"connectionReferences": {}, "definition": build_definition(HTTP)}
    assert (detail.owner_id, detail.state, detail.in_solution) == (MAKER, FlowState.ON, True)
    assert (detail.workflow_id, detail.is_managed) == (HTTP_FLOW, False)


async def test_flow_outside_solutions_has_its_description(side: Side) -> None:
    detail = await side.ports.flow_reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    assert detail.description == "Press it"
    assert (detail.workflow_id, detail.in_solution) == (None, False)


async def test_runs_since_a_time_are_listed_newest_first(side: Side) -> None:
    runs, now = side.ports.flow_reports.read_runs, side.hands.read_time()
    day = timedelta(days=1)

    recent = await runs(ENVIRONMENT, HTTP_FLOW, since=now - timedelta(seconds=1000))
    newest = await runs(ENVIRONMENT, HTTP_FLOW, since=now - day, limit=1)

    assert len(recent) == 2
    assert recent[0].started_at > recent[1].started_at
    assert newest == recent[:1]
    assert recent[0].trigger_url_id == side.hands.read_url_id(HTTP_FLOW)
    assert recent[0].status == "Succeeded"
    assert not recent[0].is_running


async def test_pages_of_runs_end_at_the_given_time(side: Side) -> None:
    reports, now = side.ports.flow_reports, side.hands.read_time()
    since = now - timedelta(days=1)
    side.hands.set_run_page(1)
    newest, *older = await reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since)
    until = older[0].started_at

    first = await reports.read_run_page(ENVIRONMENT, HTTP_FLOW, since=since, until=until)
    again = await reports.read_run_page(
        ENVIRONMENT, HTTP_FLOW, first.cursor, since=since, until=until
    )
    found, page = [*first.items], first
    while page.cursor:
        page = await reports.read_run_page(
            ENVIRONMENT, HTTP_FLOW, page.cursor, since=since, until=until
        )
        found += page.items

    assert newest.started_at > until
    assert found == older
    assert len(first.items) <= 1
    assert set(again.items).isdisjoint(first.items)
    with pytest.raises(NotFound):
        await reports.read_run_page(ENVIRONMENT, STRANGER, since=since, until=until)


async def test_run_in_progress_is_found_behind_newer_runs(side: Side) -> None:
    """A flow that is called every minute may have a whole page of newer runs."""
    reports, now = side.ports.flow_reports, side.hands.read_time()
    since = now - timedelta(days=1)
    side.hands.set_run_page(1)
    *_, oldest = await reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since)
    assert await reports.read_runs_in_progress(ENVIRONMENT, HTTP_FLOW, since=since, until=now) == []

    side.hands.let_oldest_run_continue(HTTP_FLOW)
    [found] = await reports.read_runs_in_progress(ENVIRONMENT, HTTP_FLOW, since=since, until=now)
    before = oldest.started_at - timedelta(seconds=1)
    earlier = await reports.read_runs_in_progress(ENVIRONMENT, HTTP_FLOW, since=since, until=before)

    assert found.run_id == oldest.run_id
    assert earlier == []
    with pytest.raises(NotFound):
        await reports.read_runs_in_progress(ENVIRONMENT, STRANGER, since=since, until=now)


async def test_runs_are_kept_for_28_days(side: Side) -> None:
    reports, now = side.ports.flow_reports, side.hands.read_time()
    long_ago = now - timedelta(days=60)
    [kept] = await reports.read_runs(ENVIRONMENT, DAILY_FLOW, since=long_ago)

    side.hands.advance(timedelta(days=27))
    still = await reports.read_runs(ENVIRONMENT, DAILY_FLOW, since=long_ago)
    side.hands.advance(timedelta(days=1))
    later = await reports.read_runs(ENVIRONMENT, DAILY_FLOW, since=long_ago)

    assert now - kept.started_at < timedelta(days=1)
    assert kept.run_id in {run.run_id for run in still}
    assert kept.run_id not in {run.run_id for run in later}
    with pytest.raises(NotFound):
        await reports.read_failed_actions(ENVIRONMENT, DAILY_FLOW, kept.run_id)


async def test_runs_before_the_key_are_not_listed_for_a_migrated_flow(side: Side) -> None:
    reports, since = side.ports.flow_reports, side.hands.read_time() - timedelta(days=1)
    moving = await reports.read_runs(ENVIRONMENT, DAILY_FLOW, since=since)
    staying = await reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since)

    await side.hands.link()
    await side.hands.migrate()
    moved = await reports.read_runs(ENVIRONMENT, DAILY_FLOW, since=since)

    assert moving
    assert not {run.run_id for run in moving} & {run.run_id for run in moved}
    assert await reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since) == staying


async def test_failed_run_has_its_failed_action_and_error(side: Side) -> None:
    """The list of runs says only that the run failed."""
    reports, since = side.ports.flow_reports, side.hands.read_time() - timedelta(days=1)
    side.hands.fail_call(HTTP_FLOW)
    failed, sound, *_ = await reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=since)

    [action] = await reports.read_failed_actions(ENVIRONMENT, HTTP_FLOW, failed.run_id)

    assert (failed.has_failed, failed.has_succeeded) == (True, False)
    assert (failed.error_code, sound.error_code) == ("ActionFailed", "")
    assert (sound.has_failed, sound.has_succeeded) == (False, True)
    assert (action.name, action.code) == ("Call", "BadRequest")
    assert "target machine actively refused it" in action.message
    assert await reports.read_failed_actions(ENVIRONMENT, HTTP_FLOW, sound.run_id) == []
    with pytest.raises(NotFound):
        await reports.read_failed_actions(ENVIRONMENT, HTTP_FLOW, "no-such-run")


async def test_calls_are_read_oldest_first_with_what_identifies_the_caller(side: Side) -> None:
    reports, since = side.ports.flow_reports, side.hands.read_time()
    for agent in ("old/1.0", "curl/8.5.0"):
        side.hands.call(HTTP_FLOW, {"User-Agent": agent, "Authorization": "Bearer secret"})
    side.hands.call(HTTP_FLOW, {"User-Agent": "skipped/1.0"}, is_skipped=True)
    side.hands.call(HTTP_FLOW, {"X-Forwarded-For": "203.0.113.7"})

    calls = [one async for one in reports.read_calls(ENVIRONMENT, HTTP_FLOW, since=since, limit=2)]
    later = reports.read_calls(ENVIRONMENT, HTTP_FLOW, since=calls[1].started_at, limit=2)

    assert [one.traits for one in calls] == [
        NOT_READ,
        CallTraits(source=CallerSource.OTHER, user_agent="curl/8.5"),
        CallTraits(source=CallerSource.OTHER, network="203.0.113.0/24"),
    ]
    assert [one.started_at for one in calls] == sorted(one.started_at for one in calls)
    assert [one async for one in later] == calls[2:]
    with pytest.raises(NotFound):
        [one async for one in reports.read_calls(ENVIRONMENT, STRANGER, since=since, limit=2)]


async def test_licence_of_a_flow_is_read(side: Side) -> None:
    reports = side.ports.flow_reports
    before = await reports.read_licence(ENVIRONMENT, HTTP_FLOW)
    side.hands.remove_licence(MAKER)

    assert before
    assert await reports.read_licence(ENVIRONMENT, HTTP_FLOW) == ""
