"""Fake of the port `FlowsAsServiceAccount`."""

from datetime import datetime

from shared.domain.flow import FlowPermission, FlowServiceFlow
from shared.domain.platform_errors import NO_CO_OWNER
from shared.errors import JobBlocked, NotFound, PlatformError
from tests.fakes.definitions import parse_facts
from tests.fakes.flow_reports import build_detail
from tests.fakes.flow_service import (
    build_trigger_url,
    require_no_platform_migration,
    require_published,
    turn_on,
)
from tests.fakes.sharing import build_user_row, list_permissions
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import WorldFake


class FakeFlowAccess(WorldFake):
    async def read_permissions(self, environment_id: str, flow_name: str) -> list[FlowPermission]:
        flow = self._world.get_shown_flow(environment_id, flow_name)
        return list_permissions(self._world, flow)

    async def grant(self, environment_id: str, flow_name: str) -> bool:
        flow = self._world.get_flow(environment_id, flow_name)
        operator = self._world.operator
        if operator.user_id == flow.owner_id:
            return False
        if operator.entra_id not in flow.co_owners:
            with self._world.record_write(environment_id, "add co-owner", flow_name):
                flow.co_owners[operator.entra_id] = "CanEdit"
        return True

    async def revoke(self, environment_id: str, flow_name: str) -> None:
        flow, operator = self._world.get_flow(environment_id, flow_name), self._world.operator
        if operator.entra_id in flow.co_owners or build_user_row(operator) in flow.shares:
            with self._world.record_write(environment_id, "remove co-owner", flow_name):
                flow.co_owners.pop(operator.entra_id, None)
                flow.shares.pop(build_user_row(operator), None)

    async def read_trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        flow = self._get_readable_flow(environment_id, flow_name)
        facts = parse_facts(flow.client_data)
        if trigger != facts.trigger_name:
            raise NotFound(f"the flow {flow_name} has no trigger {trigger}")
        if not facts.has_callback_url:
            raise PlatformError(
                f"The list callback url operation is blocked for triggers of type "
                f"'{facts.trigger_type}'.",
                code="ListCallbackUrlOperationBlocked",
                status=400,
            )
        if not flow.was_ever_on and not self._world.assumptions.callback_url_before_activation:
            raise PlatformError(
                f"The trigger '{trigger}' has no URL: the flow was never turned on.",
                code="WorkflowTriggerIsNotEnabled",
                status=400,
            )
        return build_trigger_url(self._world.get_environment(environment_id), flow)

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        return build_detail(self._world, self._get_readable_flow(environment_id, flow_name))

    async def start(self, environment_id: str, flow_name: str) -> None:
        self._get_readable_flow(environment_id, flow_name)
        flow = self._world.get_flow(environment_id, flow_name)
        require_no_platform_migration(
            self._world, self._world.get_served_environment(environment_id)
        )
        with self._world.record_write(environment_id, "start flow", flow_name):
            require_published(flow)
            turn_on(self._world, flow, self._world.operator)
            flow.touch(self._world.clock.now())

    def _get_readable_flow(self, environment_id: str, flow_name: str) -> FakeFlow:
        """Return a flow as reads show it, which may lag behind writes.

        Raises `PlatformError` unless the service account may read the flow now.
        """
        flow = self._world.get_shown_flow(environment_id, flow_name)
        operator = self._world.operator
        now = self._world.get_workflow(environment_id, flow.workflow_id)
        if operator.entra_id in now.co_owners or operator.user_id == flow.owner_id:
            return flow
        rights = now.shares.get(build_user_row(operator), frozenset())
        if "WriteAccess" in rights and self._world.assumptions.shares_let_people_ask:
            return flow
        raise PlatformError(
            f"The caller with object id '{operator.entra_id}' does not have permission for "
            f"connection '{flow_name}' under Api 'shared_logicflows'.",
            code=NO_CO_OWNER,
            status=403,
        )

    async def read_account_id(self) -> str:
        return self._world.operator.entra_id

    async def renew_sign_in(self) -> datetime | None:
        if self._world.is_operator_signed_out:
            raise JobBlocked(
                "The service account is not signed in (invalid_grant).",
                fix="Sign the service account in again.",
                code="service_account_signed_out",
            )
        return self._world.clock.now()
