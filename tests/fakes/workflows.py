"""Fake of the port `Workflows`: cloud flows as rows of Dataverse.

See platform.md#dataverse-api, #impersonation, #conditional-writes.
"""

from collections.abc import AsyncIterator, Collection

from local_cloud.tenant.flows.saves import require_savable
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, Workflow, WorkflowDraft, WorkflowSummary, WorkflowUpdate
from shared.errors import AlreadyExists, CmkflowError, Conflict, NotFound, PlatformError
from tests.fakes.definitions import convert_tenant_errors, require_valid
from tests.fakes.flow_service import (
    delete,
    empty_references_when_rejected,
    require_no_platform_migration,
    save,
    turn_off,
    turn_on,
)
from tests.fakes.tenant import FakeEnvironment, FakeFlow, FakeUser
from tests.fakes.world import WorldFake


class FakeWorkflows(WorldFake):
    async def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        self._get_environment(environment)
        for flow in self._world.list_shown_flows(environment.id, in_list=True):
            if self._has_row(flow) and (flow.is_managed or not managed_only):
                yield _build_row(flow)

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        self._get_environment(environment)
        flow = self._world.get_shown_workflow(environment.id, workflow_id)
        return _build_row(self._require_row(flow))

    async def read_summaries(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        try:
            rows = {row.workflow_id: row.summary async for row in self.list(environment)}
        except CmkflowError as err:
            return dict.fromkeys(workflow_ids, err)
        return {
            one: rows.get(one.lower()) or NotFound(f"No flow {one} in Dataverse.")
            for one in workflow_ids
        }

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        world, fake = self._world, self._get_environment(environment)
        owner = world.get_acting_user(draft.owner_id, is_entra_id=draft.owner_is_entra_id)
        workflow_id = draft.workflow_id.lower()
        there = fake.flows.get(workflow_id)
        if there is not None and not there.is_deleted:
            raise AlreadyExists("A record with matching key values already exists.")
        require_no_platform_migration(world, fake)
        self._require_short_name(draft.name)
        require_valid(draft.client_data)
        with convert_tenant_errors():
            require_savable(world.assumptions, draft.client_data)
        with world.record_write(fake.id, "create workflow", workflow_id):
            flow = world.add_flow(self._build_flow(fake, draft, owner))
            save(world, flow, draft.client_data, world.application)

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        if change.state is FlowState.SUSPENDED:
            raise ValueError("only the platform can suspend a flow")
        world, fake = self._world, self._get_environment(environment)
        actor = self._get_actor(change.on_behalf_of)
        flow = self._get_flow(fake.id, workflow_id)
        if etag not in ("*", flow.etag):
            raise Conflict("The version of the existing record doesn't match the RowVersion.")
        require_no_platform_migration(world, fake)
        self._require_short_name(change.name or "")
        with world.record_write(fake.id, "update workflow", flow.workflow_id):
            if change.client_data is not None:
                with empty_references_when_rejected(world, flow):
                    self._save(flow, change, actor)
            elif change.state is FlowState.ON:
                turn_on(world, flow, actor)
            if change.state is FlowState.OFF:
                turn_off(world, flow)
            flow.name = flow.name if change.name is None else change.name
            flow.touch(world.clock.now())

    def _save(self, flow: FakeFlow, change: WorkflowUpdate, actor: FakeUser) -> None:
        """Save the flow's definition, and turn the flow on if requested.

        If that fails, the definition stays as before.
        """
        before = flow.client_data
        save(self._world, flow, change.client_data or "", actor)
        try:
            if change.state is FlowState.ON:
                turn_on(self._world, flow, actor)
        except PlatformError:
            flow.client_data = before
            raise

    async def delete(self, environment: Environment, workflow_id: str, *, etag: str = "*") -> None:
        fake = self._get_environment(environment)
        flow = fake.flows.get(workflow_id.lower())
        if flow is None or flow.is_deleted:
            return
        if etag not in ("*", flow.etag):
            raise Conflict("The version of the existing record doesn't match the RowVersion.")
        if flow.is_managed:
            raise PlatformError(
                "missing prvDeleteWorkflow privilege", code="0x80040220", status=403
            )
        require_no_platform_migration(self._world, fake)
        with self._world.record_write(fake.id, "delete workflow", flow.workflow_id):
            delete(self._world, flow)

    def _get_environment(self, environment: Environment) -> FakeEnvironment:
        fake = self._world.get_environment(environment.id)
        if fake.dataverse_url is None:
            raise PlatformError("the environment has no Dataverse", code="NoDataverse", status=403)
        return fake

    def _require_short_name(self, name: str) -> None:
        limit = self._world.assumptions.workflow_name_units
        if len(name.encode("utf-16-le", "surrogatepass")) > 2 * limit:
            message = (
                "A validation error occurred.  The length of the 'name' attribute of the "
                f"'workflow' entity exceeded the maximum allowed length of '{limit}'."
            )
            raise PlatformError(message, code="0x80044331", status=400)

    def _has_row(self, flow: FakeFlow) -> bool:
        return flow.in_solution or self._world.assumptions.my_flows_have_rows

    def _get_flow(self, environment_id: str, workflow_id: str) -> FakeFlow:
        return self._require_row(self._world.get_workflow(environment_id, workflow_id))

    def _require_row(self, flow: FakeFlow) -> FakeFlow:
        if not self._has_row(flow):
            raise NotFound(f"workflow With Id = {flow.workflow_id} Does Not Exist")
        return flow

    def _get_actor(self, on_behalf_of: str | None) -> FakeUser:
        """Return the user as whom the flow service acts. See platform.md#impersonation."""
        if on_behalf_of is None:
            return self._world.application
        user = self._world.get_acting_user(on_behalf_of)
        reaches = self._world.assumptions.impersonation_reaches_flow_service
        return user if reaches else self._world.application

    def _build_flow(self, fake: FakeEnvironment, draft: WorkflowDraft, owner: FakeUser) -> FakeFlow:
        world = self._world
        is_protected = fake.policy is not None
        return FakeFlow(
            environment_id=fake.id,
            workflow_id=draft.workflow_id.lower(),
            flow_name=draft.workflow_id.lower(),
            name=draft.name,
            description=draft.description,
            modern_type=draft.modern_type or 0,
            client_data=draft.client_data,
            owner_id=owner.user_id,
            trigger_url_id=world.create_hex_id(),
            access_key=world.random.randbytes(32),
            created=world.clock.now(),
            # what is created after linking is protected (platform.md#new-flows)
            is_protected=is_protected,
            url_form=world.assumptions.protected_url_form if is_protected else "environment",
            made_by_app=True,
            policy_id=fake.policy.policy_id if fake.policy else "",
        )


def _build_row(flow: FakeFlow) -> Workflow:
    return Workflow(
        workflow_id=flow.workflow_id,
        name=flow.name,
        state=flow.state,
        client_data=flow.client_data,
        owner_id=flow.owner_id,
        is_managed=flow.is_managed,
        description=flow.description,
        etag=flow.etag,
        modern_type=flow.modern_type,
        modified_at=flow.modified_at or flow.created.replace(microsecond=0),
        unique_id=flow.flow_name,
    )
