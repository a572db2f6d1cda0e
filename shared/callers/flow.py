"""Read and write cloud flows as callers.

HTTP actions contain trigger URLs, and calls of child flows contain flow ids.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.callers.search import SearchedCallers, UnreadableCallers, get_environment_id
from shared.domain.callers.caller import (
    FILLED_IN,
    MANAGED,
    Caller,
    CallerContent,
    build_flow_caller,
)
from shared.domain.callers.caller_edit import FlowReference, FlowReferenceKind, find_flow_references
from shared.domain.environment import Environment
from shared.domain.flow import Workflow, WorkflowUpdate
from shared.domain.permissions import IN_DATAVERSE
from shared.errors import PlatformError
from shared.ports import Environments, Workflows


class FlowCallers(SearchedCallers):
    """The caller kind of cloud flows. The content is the whole `clientdata` of a flow."""

    kind = "flow"
    is_json = True
    old_value_lifetime = timedelta(0)
    required_permissions = IN_DATAVERSE

    def __init__(self, workflows: Workflows, environments: Environments) -> None:
        self._workflows = workflows
        self._environments = environments

    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        for environment in unreadable.search.list_remaining_places(
            environments, get_environment_id
        ):
            if environment.dataverse_url is None:
                continue
            try:
                async for workflow in self._workflows.list(environment):
                    for caller in self.find_callers_in_flow(environment, workflow):
                        yield caller
            except PlatformError as err:
                unreadable.record_place(f"environment {environment.display_name}", err)

    def find_callers_in_flow(
        self, environment: Environment, workflow: Workflow
    ) -> Iterator[Caller]:
        """Yield a flow as a caller at most twice.

        One caller has the references that the app can replace, the other those that a person must
        replace.
        """
        references = find_flow_references(workflow.client_data, is_json=True)
        filled_in = {reference.id for reference in references if not reference.is_replaceable}
        ours = [reference for reference in references if reference.id not in filled_in]
        theirs = [reference for reference in references if reference.id in filled_in]
        managed = MANAGED if workflow.is_managed else ""
        for part, reason in ((ours, managed), (theirs, managed or FILLED_IN)):
            if part:
                yield replace(
                    build_flow_caller(environment.id, workflow.workflow_id, workflow.name),
                    trigger_url_ids=_select_ids_of_kind(part, FlowReferenceKind.TRIGGER_URL),
                    retired_url_ids=frozenset(
                        reference.id for reference in part if reference.is_retired
                    ),
                    child_flow_ids=_select_ids_of_kind(part, FlowReferenceKind.CHILD_FLOW),
                    manual_reason=reason,
                )

    async def read(self, caller: Caller) -> CallerContent:
        environment, workflow_id = await self._read_environment_and_workflow_id(caller)
        workflow = await self._workflows.get(environment, workflow_id)
        return CallerContent(
            text=workflow.client_data, etag=workflow.etag, owner_id=workflow.owner_id
        )

    async def write(self, caller: Caller, value: CallerContent) -> None:
        environment, workflow_id = await self._read_environment_and_workflow_id(caller)
        change = WorkflowUpdate(client_data=value.text, on_behalf_of=value.on_behalf_of)
        await self._workflows.update(environment, workflow_id, change, etag=value.etag)

    async def _read_environment_and_workflow_id(self, caller: Caller) -> tuple[Environment, str]:
        environment_id, _, workflow_id = caller.address.partition("/")
        return await self._environments.get_cached(environment_id), workflow_id


def _select_ids_of_kind(
    references: Sequence[FlowReference], kind: FlowReferenceKind
) -> frozenset[str]:
    return frozenset(reference.id for reference in references if reference.kind is kind)
