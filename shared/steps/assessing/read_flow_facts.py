"""Read every cloud flow of an environment and its Microsoft-key lists, for an assessment.

Bulk reads come first: the two lists, and a Dataverse query with 500 definitions per request. Only
flows without a row in Dataverse are read one by one. A definition is dropped as soon as it is
summarized.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.assessment.snapshots import MicrosoftKeyLists, NoAnswer
from shared.domain.definitions.flow_definition import FlowDefinition, parse_or_explain
from shared.domain.definitions.flow_summary import DefinitionSummary, summarize_definition
from shared.domain.definitions.json_values import as_mapping
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, FlowState, Workflow, WorkflowSummary
from shared.domain.plans.discovery import NOT_SHOWN
from shared.domain.plans.discovery_differences import FlowServiceListing, find_differences
from shared.domain.plans.flow_facts import FlowFacts
from shared.services import Services
from shared.steps.flows.key_report import REQUEST_PATIENCE, open_key_report
from shared.steps.optional_read import read_or_no_answer, read_or_no_answer_with_retry

#: A Dataverse row to compare, and its facts.
type ReadRow = tuple[WorkflowSummary, FlowFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowReadResult:
    """The cloud flows of one environment and its Microsoft-key lists. A `NoAnswer` says why one of
    them could not be read.
    """

    flows: Mapping[str, FlowFacts] | NoAnswer
    reports: MicrosoftKeyLists | NoAnswer
    #: Differences between the sources, one sentence each.
    differences: tuple[str, ...] = ()


async def read_flows(services: Services, environment: Environment) -> FlowReadResult:
    """Read the cloud flows of an environment and its Microsoft-key lists.

    The `owner` of a flow is an id.
    """
    everything, staying, read = await asyncio.gather(
        read_or_no_answer_with_retry(lambda: _read_microsoft_key_list(services, environment)),
        read_or_no_answer_with_retry(
            lambda: _read_microsoft_key_list(services, environment, cannot_migrate_only=True)
        ),
        _read_workflow_rows_or_reason(services, environment),
    )
    alone: dict[str, FlowFacts] = {}
    unread: dict[str, str] = {}
    if not isinstance(staying, NoAnswer) and not isinstance(read, NoAnswer):
        alone, unread = await _read_missing_flows(
            services, environment, staying, map_facts_by_id(read)
        )
    return combine_flow_lists(everything, staying, read, alone, unread)


def combine_flow_lists(
    everything: Sequence[FlowListEntry] | NoAnswer,
    staying: Sequence[FlowListEntry] | NoAnswer,
    read: Sequence[ReadRow] | NoAnswer,
    alone: Mapping[str, FlowFacts],
    unread: Mapping[str, str],
) -> FlowReadResult:
    """Return the flows of an environment from all sources that list them.

    `everything` is the platform's list of all flows on Microsoft's key, `staying` its list of those
    that stay there, and `read` the rows of Dataverse. `alone` contains listed flows that were read
    one by one, and `unread` why others were not read, both by listed id.
    """
    if isinstance(everything, NoAnswer) or isinstance(staying, NoAnswer):
        silent = everything if isinstance(everything, NoAnswer) else staying
        assert isinstance(silent, NoAnswer)
        rows = read if isinstance(read, NoAnswer) else map_facts_by_id(read)
        return FlowReadResult(flows=rows, reports=silent)
    if isinstance(read, NoAnswer):
        return FlowReadResult(
            flows=read,
            reports=_build_microsoft_key_lists(everything, staying, {}, {}),
            differences=tuple(
                (f"The platform lists {flow.display_name} as a flow that stays.")
                for flow in staying
            ),
        )
    known = _add_listed_facts(map_facts_by_id(read), everything)
    alone = {
        identity: replace(row, flow_name=one.flow_name, in_solution=one.in_solution)
        if (row := known.get(one.workflow_id))
        else one
        for identity, one in alone.items()
    }
    known |= {one.workflow_id: one for one in alone.values()}
    reports = _build_microsoft_key_lists(everything, staying, known, alone)
    known |= _list_unread_flows(everything, known, alone, unread)
    reported = {flow.identity: flow for flow in staying}
    told = FlowServiceListing(
        reported={one: flow for one, flow in reported.items() if one not in unread},
        alone=alone.keys(),
    )
    return FlowReadResult(
        flows=known,
        reports=reports,
        differences=find_differences({row.workflow_id: row for row, _ in read}, told),
    )


async def _read_microsoft_key_list(
    services: Services, environment: Environment, *, cannot_migrate_only: bool = False
) -> Sequence[FlowListEntry]:
    async with open_key_report(
        services,
        environment.id,
        cannot_migrate_only=cannot_migrate_only,
        patience=REQUEST_PATIENCE,
    ) as report:
        return report.flows


#: The problem of a listed flow that was not read.
NO_ROW = "Dataverse has no row for it, and it was not read"


def map_facts_by_id(read: Sequence[ReadRow]) -> dict[str, FlowFacts]:
    """Return the facts of the flows in Dataverse, by workflow id."""
    return {facts.workflow_id: facts for _, facts in read}


NO_DATAVERSE = NoAnswer(message="the environment has no Dataverse")


async def _read_workflow_rows_or_reason(
    services: Services, environment: Environment
) -> list[ReadRow] | NoAnswer:
    if environment.dataverse_url is None:
        return NO_DATAVERSE
    return await read_or_no_answer(_read_workflow_rows(services, environment))


async def _read_workflow_rows(services: Services, environment: Environment) -> list[ReadRow]:
    return [
        (row.summary, build_flow_facts(row)) async for row in services.workflows.list(environment)
    ]


def build_flow_facts(row: Workflow) -> FlowFacts:
    """Return the facts that an assessment keeps about a flow, without its definition."""
    summary, problem, invokers = _summarize_definition(row.client_data)
    return FlowFacts(
        workflow_id=row.workflow_id.lower(),
        flow_name="",
        display_name=row.name,
        owner=row.owner_id.lower(),
        is_on=row.state is FlowState.ON,
        is_managed=row.is_managed,
        in_solution=None,
        summary=summary,
        problem=problem,
        uses_invokers_connections=invokers,
    )


def _add_listed_facts(
    rows: Mapping[str, FlowFacts], report: Sequence[FlowListEntry]
) -> dict[str, FlowFacts]:
    known = dict(rows)
    # Only flows in a solution name their row (platform.md#solution-flow-id).
    names_rows = any(flow.workflow_id for flow in report)
    for flow in report:
        identity = flow.identity
        if identity in known:
            known[identity] = replace(
                known[identity],
                flow_name=flow.flow_name.lower(),
                in_solution=flow.workflow_id is not None if names_rows else None,
            )
    return known


async def _read_missing_flows(
    services: Services,
    environment: Environment,
    staying: Sequence[FlowListEntry],
    known: Mapping[str, FlowFacts],
) -> tuple[dict[str, FlowFacts], dict[str, str]]:
    found: dict[str, FlowFacts] = {}
    unread: dict[str, str] = {}
    busy: NoAnswer | None = None
    for flow in staying:
        identity = flow.identity
        if identity in known:
            continue
        # A further request would join the request queue, before jobs that need one.
        read = (
            busy
            if busy
            else await read_or_no_answer(read_missing_flow(services, environment, flow))
        )
        if isinstance(read, NoAnswer):
            busy = read if read.is_throttled else None
            unread[identity] = explain_unread_flow(read.message)
        else:
            found[identity] = read
    return found, unread


def explain_unread_flow(why: str) -> str:
    return f"it is not in Dataverse, and could not be read: {why}"


async def read_missing_flow(
    services: Services, environment: Environment, flow: FlowListEntry
) -> FlowFacts:
    """Return the facts of a flow that Dataverse does not have, from the flow service."""
    detail = await services.flow_reports.get_flow(environment.id, flow.flow_name)
    summary, problem, invokers = _summarize_definition(detail.client_data)
    in_solution = detail.in_solution
    return FlowFacts(
        workflow_id=(detail.workflow_id or detail.flow_name).lower(),
        flow_name=detail.flow_name.lower(),
        display_name=detail.display_name,
        owner=detail.owner_id.lower(),
        is_on=detail.state is FlowState.ON,
        is_managed=detail.is_managed,
        in_solution=True if flow.workflow_id else in_solution,
        summary=summary,
        problem=problem,
        uses_invokers_connections=invokers,
    )


def _list_unread_flows(
    everything: Sequence[FlowListEntry],
    known: Mapping[str, FlowFacts],
    alone: Mapping[str, FlowFacts],
    unread: Mapping[str, str],
) -> dict[str, FlowFacts]:
    """Return the listed flows that were not read, so that every flow is counted.

    Most flows outside solutions have no row (platform.md#rows-of-flows), and only those that stay
    are read one by one. The list may use an id other than that of a flow's row, so names are
    compared too.
    """
    listed = {flow.identity for flow in everything}
    unlisted = {flow.display_name for key, flow in known.items() if key not in listed}
    return {
        flow.identity: FlowFacts(
            workflow_id=flow.identity,
            flow_name=flow.flow_name.lower(),
            display_name=flow.display_name,
            owner="",
            is_on=flow.state is FlowState.ON,
            is_managed=False,
            in_solution=flow.workflow_id is not None,
            summary=None,
            problem=unread.get(flow.identity, NO_ROW),
        )
        for flow in everything
        if flow.identity not in known
        and flow.identity not in alone
        and (flow.identity in unread or flow.display_name not in unlisted)
    }


def _build_microsoft_key_lists(
    everything: Sequence[FlowListEntry],
    staying: Sequence[FlowListEntry],
    known: Mapping[str, FlowFacts],
    alone: Mapping[str, FlowFacts],
) -> MicrosoftKeyLists:
    def collect_ids(flows: Sequence[FlowListEntry]) -> frozenset[str]:
        found = (flow.identity for flow in flows)
        return frozenset(alone[one].workflow_id if one in alone else one for one in found)

    every, stay = collect_ids(everything), collect_ids(staying)
    return MicrosoftKeyLists(
        on_microsoft_key=every,
        not_movable=stay,
        movable=len({one.flow_name for one in everything} - {one.flow_name for one in staying}),
        is_matched=every <= known.keys(),
    )


def _summarize_definition(client_data: str | None) -> tuple[DefinitionSummary | None, str, bool]:
    if client_data is None:
        return None, NOT_SHOWN, False
    definition, problem = parse_or_explain(client_data)
    if definition is None:
        return None, problem, False
    return summarize_definition(definition), "", _uses_invokers_connection(definition)


def _uses_invokers_connection(definition: FlowDefinition) -> bool:
    """Return whether the flow uses a connection of the user who runs it.

    The member is `runtimeSource` in Dataverse and `source` in the flow service. See
    platform.md#client-data, #flow-read.
    """
    references = map(as_mapping, definition.connection_references.values())
    sources = (one.get("runtimeSource") or one.get("source") for one in references)
    return any(str(source).lower() == "invoker" for source in sources)
