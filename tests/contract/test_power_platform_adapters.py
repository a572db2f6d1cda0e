"""The Power Platform adapters against the tenant, over TLS and the tunnel."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local_cloud.tenant.faults import Fault, FaultKind
from shared.adapters import flow_service
from shared.adapters.identity import OperatorCredential
from shared.domain.environment import LinkStatus
from shared.domain.flow import FlowState, WorkflowChange, WorkflowDraft
from shared.errors import (
    AlreadyExists,
    Blocked,
    Conflict,
    MigrationInProgress,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from tests.contract.adapter_world import OPERATOR, Adapters, adapters
from tests.contract.tenant_world import (
    APP,
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

COPY = "c0000000-0000-4000-8000-000000000001"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


def maker_row(app: Adapters) -> str:
    """Return the maker's `systemuserid`."""
    row: str = app.world.environment.users[MAKER]["systemuserid"]
    return row


def draft(app: Adapters, **more: Any) -> WorkflowDraft:
    """Return a copy of the HTTP flow, for its owner."""
    plain = WorkflowDraft(
        workflow_id=COPY,
        name="Receive order (CMK)",
        description="copy",
        client_data=client_data(definition(HTTP)),
        owner_id=maker_row(app),
    )
    return replace(plain, **more)


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


async def test_the_operator_signs_in_once_and_its_token_cache_outlives_the_process(
    app: Adapters,
) -> None:
    """The cache lies in Key Vault; without it a person has to sign in."""
    with pytest.raises(Blocked) as caught:
        await app.access.operator_id()
    assert "sign-in" in caught.value.instruction

    await app.sign_in()

    assert await app.access.operator_id() == MAKER
    kept = await app.secrets.read("https://kv-cmk.vault.azure.net", "operator-token-cache")
    assert "RefreshToken" in kept.value
    next_process = OperatorCredential(OPERATOR, app.secrets)
    assert await next_process.object_id() == MAKER
    assert (await next_process.get_token(flow_service.SCOPE)).token


async def test_an_operator_who_signs_in_later_is_found(app: Adapters) -> None:
    """A process that found nobody looks into Key Vault again."""
    waiting = OperatorCredential(OPERATOR, app.secrets)
    with pytest.raises(Blocked):
        await waiting.get_token(flow_service.SCOPE)

    await app.sign_in()

    assert (await waiting.get_token(flow_service.SCOPE)).token
    assert await waiting.object_id() == MAKER


async def test_a_sign_in_that_was_revoked_blocks(app: Adapters) -> None:
    """The refusal is a person's to mend, so it is no transient error."""
    await app.sign_in()
    app.world.tenant.tokens._refresh_tokens.clear()

    with pytest.raises(Blocked):
        await OperatorCredential(OPERATOR, app.secrets).get_token(
            "https://service.powerapps.com/.default"
        )


async def test_a_trigger_url_is_asked_for_as_the_operator(app: Adapters) -> None:
    """It is the URL that the flow's callers hold."""
    await app.sign_in()

    url = await app.access.trigger_url(ENVIRONMENT, HTTP_FLOW, "manual")

    assert url == await app.world.url_of(HTTP_FLOW)


async def test_a_trigger_without_a_url_is_a_refusal(app: Adapters) -> None:
    """A button has none."""
    await app.sign_in()

    with pytest.raises(Refused) as caught:
        await app.access.trigger_url(ENVIRONMENT, BUTTON_FLOW, "manual")

    assert caught.value.code == "ListCallbackUrlOperationBlocked"


async def test_the_operator_becomes_co_owner_and_steps_back(app: Adapters) -> None:
    """Both may be repeated, and an owner's own right is left alone."""
    flow = app.world.environment.flows[HTTP_FLOW]
    flow.owner = APP
    await app.sign_in()
    with pytest.raises(Refused):
        await app.access.trigger_url(ENVIRONMENT, HTTP_FLOW, "manual")

    await app.access.add_operator(ENVIRONMENT, HTTP_FLOW)
    await app.access.add_operator(ENVIRONMENT, HTTP_FLOW)
    url = await app.access.trigger_url(ENVIRONMENT, HTTP_FLOW, "manual")
    held = await app.access.permissions(ENVIRONMENT, HTTP_FLOW)
    await app.access.remove_operator(ENVIRONMENT, HTTP_FLOW)
    await app.access.remove_operator(ENVIRONMENT, HTTP_FLOW)

    assert flow.workflow_id in url
    assert {(item.principal_id, item.role) for item in held} == {(APP, "Owner"), (MAKER, "CanEdit")}
    left = await app.access.permissions(ENVIRONMENT, HTTP_FLOW)
    assert [item.principal_id for item in left] == [APP]


async def test_an_owner_does_not_lose_its_flow(app: Adapters) -> None:
    """The operator that owns the flow stays its owner."""
    await app.sign_in()

    await app.access.add_operator(ENVIRONMENT, HTTP_FLOW)
    await app.access.remove_operator(ENVIRONMENT, HTTP_FLOW)

    [held] = await app.access.permissions(ENVIRONMENT, HTTP_FLOW)
    assert (held.principal_id, held.role) == (MAKER, "Owner")


async def test_every_cloud_flow_is_listed_with_its_definition(app: Adapters) -> None:
    """Byte for byte as it was saved, in one call for a page of 500."""
    environment = await app.environment()
    before = app.http.calls["Dataverse"]

    rows = {row.workflow_id: row async for row in app.workflows.list(environment)}

    assert HTTP_FLOW in rows
    assert rows[HTTP_FLOW].client_data == app.world.environment.flows[HTTP_FLOW].client_data
    assert rows[HTTP_FLOW].owner_id == maker_row(app)
    assert rows[HTTP_FLOW].state is FlowState.ON
    assert app.http.calls["Dataverse"] == before + 1
    assert rows[HTTP_FLOW] == await app.workflows.get(environment, HTTP_FLOW)


async def test_a_copy_is_created_off_for_its_owner_and_once(app: Adapters) -> None:
    """The owner is the original's owner from the start; a second create meets the first."""
    environment = await app.environment()

    await app.workflows.create(environment, draft(app))
    with pytest.raises(AlreadyExists):
        await app.workflows.create(environment, draft(app, name="again"))

    copy = await app.workflows.get(environment, COPY)
    assert (copy.owner_id, copy.state, copy.name) == (
        maker_row(app),
        FlowState.OFF,
        "Receive order (CMK)",
    )
    assert copy.client_data == draft(app).client_data
    assert copy.description == "copy"


async def test_an_owner_without_a_row_is_named_by_its_entra_id(app: Adapters) -> None:
    """A flow outside a solution names its owner by the Entra object id."""
    environment = await app.environment()
    by_entra_id = replace(draft(app, owner_id=MAKER), owner_is_entra_id=True)

    await app.workflows.create(environment, by_entra_id)

    assert (await app.workflows.get(environment, COPY)).owner_id == maker_row(app)


async def test_a_change_needs_the_rows_etag(app: Adapters) -> None:
    """Somebody's edit in between is a conflict, a row that is gone is not found."""
    environment = await app.environment()
    read = await app.workflows.get(environment, HTTP_FLOW)
    await app.workflows.update(
        environment, HTTP_FLOW, WorkflowChange(name="Renamed"), etag=read.etag
    )

    with pytest.raises(Conflict):
        await app.workflows.update(
            environment, HTTP_FLOW, WorkflowChange(name="Late"), etag=read.etag
        )
    with pytest.raises(NotFound):
        await app.workflows.update(environment, COPY, WorkflowChange(name="x"), etag="*")

    assert (await app.workflows.get(environment, HTTP_FLOW)).name == "Renamed"


async def test_a_copy_is_turned_on_on_behalf_of_its_owner(app: Adapters) -> None:
    """Who may not use the flow's connections is refused with the flow service's own code."""
    environment = await app.environment()
    bound_draft = draft(app, client_data=client_data(definition(HTTP), bound("cr1_office")))
    await app.workflows.create(environment, bound_draft)

    with pytest.raises(Refused) as caught:
        await app.workflows.update(environment, COPY, WorkflowChange(state=FlowState.ON), etag="*")
    on = WorkflowChange(state=FlowState.ON, on_behalf_of=maker_row(app))
    await app.workflows.update(environment, COPY, on, etag="*")

    assert caught.value.code == "ConnectionAuthorizationFailed"
    assert caught.value.status == 403
    assert (await app.workflows.get(environment, COPY)).state is FlowState.ON


async def test_only_the_platform_suspends_a_flow(app: Adapters) -> None:
    """Asking for it is a mistake of ours."""
    with pytest.raises(ValueError, match="suspends"):
        await app.workflows.update(
            await app.environment(), HTTP_FLOW, WorkflowChange(state=FlowState.SUSPENDED), etag="*"
        )


async def test_a_deleted_row_stays_deleted(app: Adapters) -> None:
    """A second delete does nothing, and a late write does not bring the row back."""
    environment = await app.environment()
    await app.workflows.create(environment, draft(app))

    await app.workflows.delete(environment, COPY)
    await app.workflows.delete(environment, COPY)

    with pytest.raises(NotFound):
        await app.workflows.get(environment, COPY)


async def test_nothing_is_written_while_the_environment_migrates(app: Adapters) -> None:
    """Creating and changing flows says that a migration is going on."""
    await app.world.link()
    environment = await app.environment()

    with pytest.raises(MigrationInProgress):
        await app.workflows.create(environment, draft(app))
    with pytest.raises(MigrationInProgress):
        await app.workflows.update(environment, HTTP_FLOW, WorkflowChange(name="x"), etag="*")


async def test_an_environment_without_dataverse_is_a_refusal(app: Adapters) -> None:
    """There is nowhere to ask."""
    other = await app.environments.get(OTHER_REGION)

    with pytest.raises(Refused, match="Dataverse"):
        _ = [row async for row in app.workflows.list(other)]


async def test_environment_variables_are_read_and_written(app: Adapters) -> None:
    """With the ETag of the row that is written."""
    environment = await app.environment()
    [variable] = await app.variables.list(environment)
    assert variable.value_id is not None
    assert variable.value == await app.world.url_of(HTTP_FLOW)
    write = app.variables.write_value

    await write(environment, variable.value_id, "new", etag=variable.value_etag)
    with pytest.raises(Conflict):
        await write(environment, variable.value_id, "late", etag=variable.value_etag)
    await app.variables.write_default(
        environment, variable.definition_id, "default", etag=variable.definition_etag
    )

    [after] = await app.variables.list(environment)
    assert (after.schema_name, after.value, after.default_value) == (
        "cr1_ordersurl",
        "new",
        "default",
    )


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
