"""Flows and environment variables in Dataverse, by the adapters, over TLS and the tunnel."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.domain.flow import FlowState, WorkflowChange
from shared.errors import AlreadyExists, Conflict, MigrationInProgress, NotFound, Refused
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.drafted_flow import COPY, draft, maker_row
from tests.contract.tenant_world import (
    HTTP,
    HTTP_FLOW,
    MAKER,
    OTHER_REGION,
    bound,
    client_data,
    definition,
)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


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
    [variable] = await app.environment_variables.list(environment)
    assert variable.value_id is not None
    assert variable.value == await app.world.url_of(HTTP_FLOW)
    write = app.environment_variables.write_value

    await write(environment, variable.value_id, "new", etag=variable.value_etag)
    with pytest.raises(Conflict):
        await write(environment, variable.value_id, "late", etag=variable.value_etag)
    await app.environment_variables.write_default(
        environment, variable.definition_id, "default", etag=variable.definition_etag
    )

    [after] = await app.environment_variables.list(environment)
    assert (after.schema_name, after.value, after.default_value) == (
        "cr1_ordersurl",
        "new",
        "default",
    )
