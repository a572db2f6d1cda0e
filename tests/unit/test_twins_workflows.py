"""Where the twins hurt as the platform does: creating, changing and turning on flows."""

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowChange, WorkflowDraft
from shared.errors import AlreadyExists, Conflict, MigrationInProgress, NotFound, Refused
from tests.twins import definition_builder as define
from tests.twins.builder import Builder
from tests.twins.ports import Ports, twins_of
from tests.twins.tenant import TwinFlow
from tests.twins.world import World

TURN_ON = WorkflowChange(state=FlowState.ON)


class Tenant:
    """An environment under a policy, and the ports onto it."""

    def __init__(self) -> None:
        """Link an environment that has no flows yet."""
        self.world = World()
        self.builder = Builder(self.world)
        self.builder.link()
        self.ports: Ports = twins_of(self.world).ports

    @property
    def environment(self) -> Environment:
        """The environment as the port shows it."""
        return self.builder.environment.described()

    async def copy(self, original: TwinFlow) -> TwinFlow:
        """Create an unchanged copy of a flow, off."""
        draft = self.draft(original)
        await self.ports.workflows.create(self.environment, draft)
        return self.world.workflow(original.environment_id, draft.workflow_id)

    def draft(self, original: TwinFlow) -> WorkflowDraft:
        """Return what creates a copy of a flow."""
        return WorkflowDraft(
            workflow_id=self.world.guid(),
            name=f"{original.name} (CMK)",
            description="",
            client_data=original.client_data,
            owner_id=original.owner_id,
        )


@pytest.fixture
def tenant() -> Tenant:
    """Give a linked environment."""
    return Tenant()


async def test_a_created_flow_is_off_protected_and_its_owners(tenant: Tenant) -> None:
    """A copy made after linking is under the key and has another URL."""
    original = tenant.builder.http_flow("Orders")

    copy = await tenant.copy(original)

    assert (copy.state, copy.is_protected, copy.made_by_app) == (FlowState.OFF, True, True)
    assert copy.owner_id == original.owner_id
    assert copy.trigger_url_id != original.trigger_url_id


async def test_an_id_is_created_once(tenant: Tenant) -> None:
    """The second creation under the same id is refused as existing."""
    draft = tenant.draft(tenant.builder.http_flow("Orders"))
    await tenant.ports.workflows.create(tenant.environment, draft)

    with pytest.raises(AlreadyExists):
        await tenant.ports.workflows.create(tenant.environment, draft)


async def test_a_change_needs_the_present_etag(tenant: Tenant) -> None:
    """An old ETag is a conflict, a missing row is not found even with `*`."""
    flow = tenant.builder.http_flow("Orders")
    workflows, rename = tenant.ports.workflows, WorkflowChange(name="Orders 2")
    row = await workflows.get(tenant.environment, flow.workflow_id)
    await workflows.update(tenant.environment, flow.workflow_id, rename, etag=row.etag)

    with pytest.raises(Conflict):
        await workflows.update(tenant.environment, flow.workflow_id, rename, etag=row.etag)
    with pytest.raises(NotFound):
        await workflows.update(tenant.environment, tenant.world.guid(), rename, etag="*")


async def test_nothing_is_created_or_changed_while_the_environment_migrates(tenant: Tenant) -> None:
    """Creation, change and the switch are blocked until the last flow has moved."""
    tenant.builder.environment.is_migrating = True
    flow = tenant.builder.http_flow("Orders")
    ports = tenant.ports

    with pytest.raises(MigrationInProgress):
        await ports.workflows.create(tenant.environment, tenant.draft(flow))
    with pytest.raises(MigrationInProgress):
        await ports.workflows.update(tenant.environment, flow.workflow_id, TURN_ON, etag="*")
    with pytest.raises(MigrationInProgress):
        await ports.flow_switch.stop(flow.environment_id, flow.flow_name)
    assert tenant.world.writes == []


async def test_whoever_activates_needs_the_connections(tenant: Tenant) -> None:
    """The app may not use the owner's connection until it acts for the owner or has a share."""
    original = tenant.builder.polling_flow("Notes")
    first, second = await tenant.copy(original), await tenant.copy(original)
    update, environment = tenant.ports.workflows.update, tenant.environment

    with pytest.raises(Refused, match="ConnectionAuthorizationFailed"):
        await update(environment, first.workflow_id, TURN_ON, etag="*")
    for_owner = WorkflowChange(state=FlowState.ON, on_behalf_of=original.owner_id)
    await update(environment, first.workflow_id, for_owner, etag="*")
    tenant.builder.share_connections()
    await update(environment, second.workflow_id, TURN_ON, etag="*")

    assert first.is_on
    assert second.is_on


async def test_acting_for_the_owner_may_not_reach_the_flow_service(tenant: Tenant) -> None:
    """Where the header is lost the app's own rights count; else Dataverse may refuse it."""
    original = tenant.builder.polling_flow("Notes")
    copy = await tenant.copy(original)
    for_owner = WorkflowChange(state=FlowState.ON, on_behalf_of=original.owner_id)
    update = tenant.ports.workflows.update

    tenant.world.assumptions.impersonation_reaches_flow_service = False
    with pytest.raises(Refused, match="ConnectionAuthorizationFailed"):
        await update(tenant.environment, copy.workflow_id, for_owner, etag="*")
    tenant.world.may_act_on_behalf = False
    with pytest.raises(Refused, match="0x80040220"):
        await update(tenant.environment, copy.workflow_id, for_owner, etag="*")


async def test_a_flow_that_its_owner_turned_on_may_be_cycled_by_the_app(tenant: Tenant) -> None:
    """The flow itself holds the permission then (contract §14.1)."""
    flow = tenant.builder.polling_flow("Notes")
    update = tenant.ports.workflows.update

    off = WorkflowChange(state=FlowState.OFF)
    await update(tenant.environment, flow.workflow_id, off, etag="*")
    await update(tenant.environment, flow.workflow_id, TURN_ON, etag="*")

    assert flow.is_on


async def test_a_premium_flow_of_an_unlicensed_owner_stays_off(tenant: Tenant) -> None:
    """The platform saves it and refuses to turn it on."""
    original = tenant.builder.http_flow("Orders")
    tenant.builder.owner.has_premium = False
    copy = await tenant.copy(original)

    with pytest.raises(Refused, match="MissingAdequateQuotaPolicy"):
        await tenant.ports.workflows.update(tenant.environment, copy.workflow_id, TURN_ON, etag="*")


async def test_an_activation_may_answer_well_and_do_nothing(tenant: Tenant) -> None:
    """A 200 is no proof: the flow reads back off, the next try sticks."""
    copy = await tenant.copy(tenant.builder.http_flow("Orders"))
    tenant.world.assumptions.activations_that_do_not_stick = 1
    update, environment = tenant.ports.workflows.update, tenant.environment

    await update(environment, copy.workflow_id, TURN_ON, etag="*")
    assert not copy.is_on
    await update(environment, copy.workflow_id, TURN_ON, etag="*")
    assert copy.is_on


async def test_activation_may_change_the_flow_name(tenant: Tenant) -> None:
    """The flow is found again in the list by its Dataverse id."""
    copy = await tenant.copy(tenant.builder.http_flow("Orders"))
    tenant.world.assumptions.activation_changes_flow_name = True
    before = copy.flow_name

    await tenant.ports.workflows.update(tenant.environment, copy.workflow_id, TURN_ON, etag="*")

    with pytest.raises(NotFound):
        await tenant.ports.flow_reports.get_flow(copy.environment_id, before)
    listed = await tenant.ports.flow_reports.list_flows(copy.environment_id)
    assert copy.flow_name in {
        flow.flow_name for flow in listed if flow.workflow_id == copy.workflow_id
    }


async def test_a_child_must_be_on_before_its_parent(tenant: Tenant) -> None:
    """A parent's copy cannot be turned on while a child it names is off."""
    child = await tenant.copy(tenant.builder.http_flow("Child"))
    parent = tenant.builder.flow(
        "Parent",
        define.http_trigger(),
        {"Run": define.child_flow_action(child.workflow_id)},
        is_on=False,
    )
    update, environment = tenant.ports.workflows.update, tenant.environment

    with pytest.raises(Refused, match="ChildFlowNeverPublished"):
        await update(environment, parent.workflow_id, TURN_ON, etag="*")
    await update(environment, child.workflow_id, TURN_ON, etag="*")
    await update(environment, parent.workflow_id, TURN_ON, etag="*")

    assert parent.is_on


async def test_a_refused_activation_leaves_the_definition_as_it_was(tenant: Tenant) -> None:
    """One change is all or nothing."""
    copy = await tenant.copy(tenant.builder.polling_flow("Notes"))
    before = copy.client_data
    both = WorkflowChange(client_data=before + " ", state=FlowState.ON)

    with pytest.raises(Refused):
        await tenant.ports.workflows.update(tenant.environment, copy.workflow_id, both, etag="*")

    assert copy.client_data == before


async def test_a_definition_that_nobody_can_read_is_refused(tenant: Tenant) -> None:
    """The flow service validates what is saved."""
    flow = tenant.builder.http_flow("Orders")
    change = WorkflowChange(client_data="{}")

    with pytest.raises(Refused, match="InvalidTemplate"):
        await tenant.ports.workflows.update(tenant.environment, flow.workflow_id, change, etag="*")


async def test_a_copy_of_a_flow_without_a_row_is_owned_by_its_creator(tenant: Tenant) -> None:
    """The flow service names owners by Entra object id; the draft says so."""
    tenant.world.assumptions.my_flows_have_rows = False
    flow = tenant.builder.power_apps_v1_flow("Approve")
    with pytest.raises(NotFound):
        await tenant.ports.workflows.get(tenant.environment, flow.workflow_id)

    detail = await tenant.ports.flow_reports.get_flow(flow.environment_id, flow.flow_name)
    draft = WorkflowDraft(
        workflow_id=tenant.world.guid(),
        name="Approve (CMK)",
        description="",
        client_data=detail.client_data,
        owner_id=detail.owner_id,
        owner_is_entra_id=True,
    )
    await tenant.ports.workflows.create(tenant.environment, draft)

    row = await tenant.ports.workflows.get(tenant.environment, draft.workflow_id)
    assert row.owner_id == flow.owner_id
