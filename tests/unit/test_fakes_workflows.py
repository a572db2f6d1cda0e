import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowDraft, WorkflowUpdate
from shared.errors import NotFound, PlatformError
from tests.fakes.builder import Builder
from tests.fakes.ports import Ports, build_fakes
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World

TURN_ON = WorkflowUpdate(state=FlowState.ON)


class Tenant:
    def __init__(self) -> None:
        self.world = World()
        self.builder = Builder(self.world)
        self.builder.apply_key()
        self.ports: Ports = build_fakes(self.world).ports

    @property
    def environment(self) -> Environment:
        return self.builder.environment.build_environment()

    async def create_copy(self, original: FakeFlow) -> FakeFlow:
        draft = self.build_draft(original)
        await self.ports.workflows.create(self.environment, draft)
        return self.world.get_workflow(original.environment_id, draft.workflow_id)

    def build_draft(self, original: FakeFlow) -> WorkflowDraft:
        return WorkflowDraft(
            workflow_id=self.world.create_guid(),
            name=f"{original.name} (CMK)",
            description="",
            client_data=original.client_data,
            owner_id=original.owner_id,
        )


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


async def test_created_flow_is_off_and_on_your_key_and_has_the_same_owner(tenant: Tenant) -> None:
    original = tenant.builder.add_http_flow("Orders")

    copy = await tenant.create_copy(original)

    assert (copy.state, copy.is_protected, copy.made_by_app) == (FlowState.OFF, True, True)
    assert copy.owner_id == original.owner_id
    assert copy.trigger_url_id != original.trigger_url_id


async def test_activation_for_the_owner_fails_if_the_header_is_lost(tenant: Tenant) -> None:
    """Dataverse may also reject the header that names the owner."""
    original = tenant.builder.add_polling_flow("Notes")
    copy = await tenant.create_copy(original)
    for_owner = WorkflowUpdate(state=FlowState.ON, on_behalf_of=original.owner_id)
    update = tenant.ports.workflows.update

    tenant.world.assumptions.impersonation_reaches_flow_service = False
    with pytest.raises(PlatformError, match="ConnectionAuthorizationFailed"):
        await update(tenant.environment, copy.workflow_id, for_owner, etag="*")
    tenant.world.may_act_on_behalf = False
    with pytest.raises(PlatformError, match="0x80040220"):
        await update(tenant.environment, copy.workflow_id, for_owner, etag="*")


async def test_copy_of_a_flow_without_a_row_has_the_owner_of_the_original(tenant: Tenant) -> None:
    """The flow service names the owner by their Entra id, with which Dataverse finds the user."""
    tenant.world.assumptions.my_flows_have_rows = False
    flow = tenant.builder.add_power_apps_v1_flow("Approve")
    with pytest.raises(NotFound):
        await tenant.ports.workflows.get(tenant.environment, flow.workflow_id)

    detail = await tenant.ports.flow_reports.get_flow(flow.environment_id, flow.flow_name)
    draft = WorkflowDraft(
        workflow_id=tenant.world.create_guid(),
        name="Approve (CMK)",
        description="",
        client_data=detail.client_data or "",
        owner_id=detail.owner_id,
        owner_is_entra_id=True,
    )
    await tenant.ports.workflows.create(tenant.environment, draft)

    row = await tenant.ports.workflows.get(tenant.environment, draft.workflow_id)
    assert row.owner_id == flow.owner_id
