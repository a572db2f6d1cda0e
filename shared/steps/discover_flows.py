"""Find the flows that stay on Microsoft's key, and what the plan needs to know of each. Reads only.

Bulk first: two reports and one Dataverse query of 500 definitions a call; a flow is read by itself
only where Dataverse has no row of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.definition_comparison import definition_digest
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, ReportedFlow
from shared.domain.flow_definition import (
    CHILD_REFERENCE,
    FlowDefinition,
    UnreadableDefinition,
    parse_client_data,
)
from shared.domain.flow_summary import FlowSummary, summarise
from shared.errors import NotFound
from shared.services import Services

_NO_CHILDREN: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBackFlow:
    """A flow that the platform will not move under the key."""

    workflow_id: str
    flow_name: str
    display_name: str
    is_on: bool
    is_managed: bool
    in_solution: bool
    #: None: the definition cannot be read; `problem` says why.
    definition: FlowSummary | None
    problem: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What was found in one environment."""

    held_back: tuple[HeldBackFlow, ...]
    #: Child flows that each flow of the environment runs, by Dataverse id.
    children: Mapping[str, frozenset[str]]
    titles: Mapping[str, str]
    #: Differences between the sources.
    findings: tuple[str, ...]


async def has_migrated(services: Services, environment_id: str) -> bool:
    """Say whether the migration is over: nothing is left that could move by itself."""
    reports = services.flow_reports
    everything = await reports.microsoft_key_flows(environment_id, cannot_migrate_only=False)
    staying = await reports.microsoft_key_flows(environment_id, cannot_migrate_only=True)
    return {flow.flow_name for flow in everything} == {flow.flow_name for flow in staying}


async def discover(services: Services, environment: Environment) -> Discovery:
    """Return the flows that stay on Microsoft's key and the calls between all flows."""
    listed = await services.flow_reports.microsoft_key_flows(
        environment.id, cannot_migrate_only=True
    )
    by_id = {(flow.workflow_id or flow.flow_name).lower(): flow for flow in listed}
    held_back: dict[str, HeldBackFlow] = {}
    children: dict[str, frozenset[str]] = {}
    titles: dict[str, str] = {}
    if environment.dataverse_url:
        async for row in services.workflows.list(environment):
            identity = row.workflow_id.lower()
            definition, problem = _parsed(row.client_data)
            titles[identity] = row.name
            children[identity] = _children(definition, row.client_data)
            if identity in by_id:
                held_back[identity] = HeldBackFlow(
                    workflow_id=identity,
                    flow_name=by_id[identity].flow_name,
                    display_name=row.name,
                    is_on=row.state is FlowState.ON,
                    is_managed=row.is_managed,
                    in_solution=by_id[identity].workflow_id is not None,
                    definition=summarise(definition) if definition else None,
                    problem=problem,
                    digest=definition_digest(row.client_data),
                )
    findings: list[str] = []
    for identity, flow in by_id.items():
        if identity in held_back:
            continue
        alone = await _read_alone(services, environment, identity, flow)
        if alone is None:
            findings.append(
                f"{flow.display_name} is reported on Microsoft's key, but neither Dataverse nor "
                "the flow service has it: deleted meanwhile?"
            )
            continue
        held_back[identity] = alone
        titles[identity] = alone.display_name
        children[identity] = alone.definition.children if alone.definition else _NO_CHILDREN
    return Discovery(
        held_back=tuple(held_back.values()),
        children=children,
        titles=titles,
        findings=tuple(findings),
    )


async def _read_alone(
    services: Services, environment: Environment, identity: str, flow: ReportedFlow
) -> HeldBackFlow | None:
    try:
        detail = await services.flow_reports.get_flow(environment.id, flow.flow_name)
    except NotFound:
        return None
    definition, problem = _parsed(detail.client_data)
    return HeldBackFlow(
        workflow_id=identity,
        flow_name=detail.flow_name,
        display_name=detail.display_name,
        is_on=detail.state is FlowState.ON,
        is_managed=detail.is_managed,
        in_solution=flow.workflow_id is not None,
        definition=summarise(definition) if definition else None,
        problem=problem,
        digest=definition_digest(detail.client_data),
    )


def _children(definition: FlowDefinition | None, client_data: str) -> frozenset[str]:
    # Few flows run others: one look at the text saves the walk over the actions of the rest.
    if definition is None or CHILD_REFERENCE not in client_data:
        return _NO_CHILDREN
    return definition.children


def _parsed(client_data: str) -> tuple[FlowDefinition | None, str]:
    try:
        return parse_client_data(client_data), ""
    except UnreadableDefinition as err:
        return None, str(err)
