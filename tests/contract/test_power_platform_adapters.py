"""Adapters of the admin API and the flow service, and platform faults, over TLS and the tunnel."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.domain.environment import LinkStatus
from shared.domain.flow import FlowState
from shared.errors import AlreadyExists, NotFound, Refused, Throttled, Unavailable
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.drafted_flow import COPY, draft
from tests.contract.tenant_world import (
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
    bound,
    client_data,
    definition,
)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


async def test_environments_are_listed_and_read(app: Adapters) -> None:
    """Before a link there is no policy; afterwards there is, in force."""
    before = {environment.id: environment for environment in await app.environments.list()}
    await app.world.link()
    after = await app.environment()

    assert set(before) == {ENVIRONMENT, OTHER_REGION}
    assert before[ENVIRONMENT].policy is None
    assert before[ENVIRONMENT].dataverse_url == "https://contoso.api.crm4.dynamics.com"
    assert before[OTHER_REGION].dataverse_url is None
    assert before[OTHER_REGION].geography == "unitedstates"
    assert after.is_linked
    assert after.is_managed
    assert after.policy is not None
    assert after.policy.status is LinkStatus.LINKED
    assert after.policy.policy_id == POLICY_ID.lower()
    assert (after.region, after.sku) == ("westeurope", "Production")


async def test_an_environment_that_does_not_exist_is_not_found(app: Adapters) -> None:
    """The admin API answers 404."""
    with pytest.raises(NotFound):
        await app.environments.get("00000000-0000-4000-8000-000000000000")


async def test_both_reports_agree_when_the_migration_is_over(app: Adapters) -> None:
    """Before it, one names every flow on Microsoft's key, the other those that stay."""
    await app.world.link()
    all_before = await app.reports.microsoft_key_flows(ENVIRONMENT, cannot_migrate_only=False)
    stay_before = await app.reports.microsoft_key_flows(ENVIRONMENT, cannot_migrate_only=True)
    await app.world.control("POST", "/clock/advance", {"seconds": 101})
    all_after = await app.reports.microsoft_key_flows(ENVIRONMENT, cannot_migrate_only=False)

    stay = {HTTP_FLOW, PARENT_FLOW, TENANT_AUTH_FLOW}
    assert {flow.workflow_id for flow in stay_before} == stay
    assert {flow.workflow_id for flow in all_after} == stay
    assert len(all_before) > len(stay)


async def test_lists_are_read_over_all_pages(app: Adapters) -> None:
    """A page of two items each makes three calls of six flows."""
    app.world.platform.assumptions.flow_page = 2

    flows = await app.reports.list_flows(ENVIRONMENT)

    assert {flow.flow_name for flow in flows} == {
        *(HTTP_FLOW, PARENT_FLOW, DAILY_FLOW, CALLING_FLOW, TENANT_AUTH_FLOW, BUTTON_FLOW)
    }
    assert {flow.state for flow in flows} == {FlowState.ON}
    by_name = {flow.flow_name: flow for flow in flows}
    assert by_name[BUTTON_FLOW].workflow_id is None


async def test_a_flow_reads_in_the_shape_of_dataverse(app: Adapters) -> None:
    """What the flow service gives can be written as `clientdata`."""
    flow = app.world.environment.flows[HTTP_FLOW]
    flow.save(client_data(definition(HTTP), bound("cr1_office")))

    detail = await app.reports.get_flow(ENVIRONMENT, HTTP_FLOW)

    given = json.loads(detail.client_data)
    assert given["properties"]["connectionReferences"] == bound("cr1_office")
    assert given["properties"]["definition"] == definition(HTTP)
    assert (detail.owner_id, detail.state, detail.in_solution) == (MAKER, FlowState.ON, True)
    assert detail.workflow_id == HTTP_FLOW


async def test_a_flow_that_does_not_exist_is_not_found(app: Adapters) -> None:
    """The flow service answers 404 to an administrator."""
    with pytest.raises(NotFound):
        await app.reports.get_flow(ENVIRONMENT, COPY)


async def test_an_unknown_environment_is_a_refusal(app: Adapters) -> None:
    """The flow service does not tell it from one without rights."""
    with pytest.raises(Refused) as caught:
        await app.reports.list_flows(COPY)

    assert caught.value.code == "EnvironmentAccessDenied"


async def test_runs_are_those_since_a_time_newest_first(app: Adapters) -> None:
    """The id inside the trigger URL is read from the run's content links."""
    now = app.world.tenant.clock.now()
    app.world.platform.assumptions.run_page = 1

    recent = await app.reports.runs(ENVIRONMENT, HTTP_FLOW, since=now - timedelta(seconds=1000))
    newest = await app.reports.runs(ENVIRONMENT, HTTP_FLOW, since=now - timedelta(days=1), limit=1)

    assert len(recent) == 2
    assert recent[0].started > recent[1].started
    assert newest == recent[:1]
    assert recent[0].trigger_url_id == app.world.environment.flows[HTTP_FLOW].workflow_id
    assert recent[0].status == "Succeeded"
    assert not recent[0].is_going


async def test_a_flow_is_turned_off_and_on(app: Adapters) -> None:
    """By the flow service, as an administrator."""
    await app.switch.stop(ENVIRONMENT, BUTTON_FLOW)
    off = await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    await app.switch.start(ENVIRONMENT, BUTTON_FLOW)
    on = await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    assert (off.state, on.state) == (FlowState.OFF, FlowState.ON)


async def test_faults_of_the_platform_are_transient(app: Adapters) -> None:
    """A read survives one fault, not two; a lost answer is a fault too."""
    faults = app.world.tenant.faults
    faults.add(Fault(route="flow_service.*", status=503))
    assert await app.reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="flow_service.*", status=503, times=2))
    with pytest.raises(Unavailable):
        await app.reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="dataverse.*", kind=FaultKind.DROP_AFTER))
    environment = await app.environment()
    with pytest.raises(Unavailable):
        await app.workflows.create(environment, draft(app))
    with pytest.raises(AlreadyExists):
        await app.workflows.create(environment, draft(app))


async def test_too_many_calls_are_throttled_with_a_wait(app: Adapters) -> None:
    """The platform's own budget refuses the second call."""
    budget = {"flow_service": {"calls": 1, "seconds": 60}}
    await app.world.control("PUT", "/budgets", budget)
    await app.reports.list_flows(ENVIRONMENT)

    with pytest.raises(Throttled) as caught:
        await app.reports.list_flows(ENVIRONMENT)

    assert caught.value.retry_after is not None


async def test_a_host_that_the_network_refuses_is_unavailable(app: Adapters) -> None:
    """A tunnel that does not lead there is no answer."""
    other = replace(await app.environment(), dataverse_url="https://elsewhere.example")

    with pytest.raises(Unavailable):
        await app.workflows.get(other, HTTP_FLOW)
