"""Find the flows that stay on Microsoft's key, with the facts that a plan needs.

Bulk reads come first: a list, and a Dataverse query with 500 definitions per request. Only flows
without a row in Dataverse are read one by one. Each page is stored before the next one is
requested, so that after a crash or a used-up budget, only one page is read again (see
discovery_pages.py).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import batched

from shared.domain.conversions.preview import list_possible_conversions, preview_conversion
from shared.domain.definitions.flow_definition import (
    CHILD_REFERENCE,
    FlowDefinition,
    parse_or_explain,
)
from shared.domain.definitions.flow_summary import DefinitionSummary, parse_summary
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, FlowServiceFlow, FlowState, Workflow, WorkflowSummary
from shared.domain.flow_owner import FlowOwner
from shared.domain.plans.discovery import (
    NOT_SHOWN,
    DiscoveryPage,
    DiscoveryResult,
    DiscoverySource,
    FlowOnMicrosoftKey,
    combine_pages,
    select_dataverse_flows,
    select_reported_flows,
)
from shared.errors import InvalidInput, NotFound
from shared.jobs.fenced_rows import FencedRows
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.flows.discovery_pages import (
    DiscoveryPages,
    build_report_rows,
    read_all_pages,
    split_into_rows,
)
from shared.steps.planning.hidden_definitions import HiddenDefinitions
from shared.steps.updating_callers.find_callers import index_callers_in_flows
from shared.steps.write_permission import read_environment_settings

#: Flows that are read again and stored together.
_READ_AGAIN = 500


async def read_flows_still_to_move(
    services: Services,
    environment_id: str,
    rows: FencedRows[DiscoveryPage],
    *,
    all_of_them: bool = False,
    advanced: Callable[[], Awaitable[None]] | None = None,
) -> list[FlowListEntry]:
    """Return flows that the platform still has to move to the key.

    If there are none, the platform migration is complete. Returns those on the first page that has
    any, or with `all_of_them` those on every page. Excluded flows do not count. Continues with the
    `rows` of an interrupted check. They also contain the list of flows that stay, which a discovery
    with the same `rows` does not read again. `advanced`: as in `discover_flows`. See
    platform.md#microsoft-key-list.
    """
    parts = DiscoveryPages(services, rows, advanced)
    await parts.load_stored_pages()
    await _read_and_store_microsoft_key_list(services, environment_id, parts)
    excluded = (await read_environment_settings(services, environment_id)).excluded_flows
    not_waited_for = {
        flow.flow_name for flow in _get_listed_flows(parts, DiscoverySource.MICROSOFT_KEY_LIST)
    }

    def build_rows_still_to_move(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        waited_for = [
            flow
            for flow in flows
            if flow.flow_name not in not_waited_for
            and not {flow.flow_name.lower(), (flow.workflow_id or "").lower()} & excluded
        ]
        return build_report_rows(parts.build_empty_row(DiscoverySource.MOVABLE), waited_for)

    read = partial(
        services.flow_reports.read_microsoft_key_flows, environment_id, cannot_migrate_only=False
    )
    while not parts.get_position(DiscoverySource.MOVABLE).is_read:
        await parts.read_and_store_page(DiscoverySource.MOVABLE, read, build_rows_still_to_move)
        if _get_listed_flows(parts, DiscoverySource.MOVABLE) and not all_of_them:
            break
    found = _get_listed_flows(parts, DiscoverySource.MOVABLE)
    # The next check starts again; a discovery continues with the flows that stay.
    await parts.remove_pages(None if found else DiscoverySource.MOVABLE)
    return found


async def discover_flows(
    services: Services,
    environment: Environment,
    rows: FencedRows[DiscoveryPage],
    hidden: HiddenDefinitions | None = None,
    *,
    reconcile: bool = False,
    again: bool = False,
    advanced: Callable[[], Awaitable[None]] | None = None,
) -> DiscoveryResult:
    """Return the flows that stay on Microsoft's key, and the calls between all flows.

    Continues with the `rows` that a discovery of the same job stored. `reconcile`: compare every
    flow with the flow service's list of all flows, which takes many requests of a small budget.
    `again`: the `rows` are those of a plan, and unchanged flows are not read. `hidden` reads
    definitions that the platform hides from the app; if it is None, they stay unknown. `advanced`
    is called after each stored page. Adds callers that are found in definitions to the caller
    index.
    """
    parts = DiscoveryPages(services, rows, advanced)
    await parts.load_stored_pages(keeps_flows=again)
    await _read_and_store_microsoft_key_list(services, environment.id, parts)
    if environment.dataverse_url:
        await _read_and_store_workflows(services, environment, parts, again=again)
    await _read_and_store_missing_flows(services, environment, parts, hidden)
    if reconcile:
        await _read_and_store_list_of_all_flows(services, environment, parts)
    has_dataverse = environment.dataverse_url is not None
    return replace(combine_pages(parts.parts), has_dataverse=has_dataverse)


async def _read_and_store_microsoft_key_list(
    services: Services, environment_id: str, parts: DiscoveryPages
) -> None:
    report = services.flow_reports.read_microsoft_key_flows
    await parts.read_and_store_remaining_pages(
        DiscoverySource.MICROSOFT_KEY_LIST,
        partial(report, environment_id, cannot_migrate_only=True),
        lambda flows: build_report_rows(
            parts.build_empty_row(DiscoverySource.MICROSOFT_KEY_LIST), flows
        ),
    )


def _get_listed_flows(parts: DiscoveryPages, source: DiscoverySource) -> list[FlowListEntry]:
    return list(select_reported_flows(parts.parts, source).values())


async def _read_and_store_workflows(
    services: Services, environment: Environment, parts: DiscoveryPages, *, again: bool
) -> None:
    reported = select_reported_flows(parts.parts, DiscoverySource.MICROSOFT_KEY_LIST)
    empty = parts.build_empty_row(DiscoverySource.DATAVERSE)

    def build_rows(flows: Sequence[Workflow]) -> list[DiscoveryPage]:
        return [
            _build_flow_page(replace(empty, read_at=services.now), some, reported)
            for some in split_into_rows(flows)
        ]

    async def read_and_index_page(cursor: str) -> ResultPage[Workflow]:
        page = await services.flow_pages.read_workflows(environment, cursor)
        await index_callers_in_flows(services, environment, page.items)
        return page

    known = select_dataverse_flows(parts.parts)
    if not parts.get_position(DiscoverySource.DATAVERSE).is_read:
        await parts.read_and_store_remaining_pages(
            DiscoverySource.DATAVERSE, read_and_index_page, build_rows
        )
        return
    # Flows that an earlier report did not list were read without what a plan shows.
    shown = {one.workflow_id for part in parts.parts for one in part.flows_on_microsoft_key}
    changed = [one for one in reported if one in known and one not in shown]
    gone: tuple[str, ...] = ()
    if again:
        others, gone = await _read_changed_workflow_ids(services, environment, known)
        changed = list(dict.fromkeys([*changed, *others]))
    for ids in batched(changed, _READ_AGAIN, strict=False):
        flows = await services.flow_pages.read_workflows_by_id(environment, ids)
        await index_callers_in_flows(services, environment, flows)
        await parts.store_page(build_rows(flows))
    if gone:
        await parts.store_page([replace(empty, deleted=gone)])


async def _read_changed_workflow_ids(
    services: Services, environment: Environment, known: Mapping[str, WorkflowSummary]
) -> tuple[list[str], tuple[str, ...]]:
    read = partial(services.flow_pages.read_workflow_summaries, environment)
    listed = {flow.workflow_id: flow for flow in await read_all_pages(read)}
    changed = [one for one, flow in listed.items() if known.get(one) != flow]
    return changed, tuple(known.keys() - listed.keys())


async def _read_and_store_missing_flows(
    services: Services,
    environment: Environment,
    parts: DiscoveryPages,
    hidden: HiddenDefinitions | None,
) -> None:
    known = select_dataverse_flows(parts.parts)
    reported = select_reported_flows(parts.parts, DiscoverySource.MICROSOFT_KEY_LIST)
    read = set(select_reported_flows(parts.parts, DiscoverySource.SINGLE_FLOW))
    for identity, flow in reported.items():
        if identity in known or identity in read:
            continue
        try:
            detail = await services.flow_reports.get_flow(environment.id, flow.flow_name)
            shown: FlowServiceFlow | str = detail
            if hidden and detail.client_data is None:
                shown = await hidden.read(flow.flow_name)
            held_back: tuple[FlowOnMicrosoftKey, ...] = (
                _build_flow_from_detail(flow, detail, shown),
            )
        except NotFound:
            held_back = ()
        except InvalidInput as err:
            held_back = (_without_definition(flow, str(err)),)
        children = {one.workflow_id: one.definition.children for one in held_back if one.definition}
        part = replace(parts.build_empty_row(DiscoverySource.SINGLE_FLOW), reported=(flow,))
        await parts.store_page([replace(part, flows_on_microsoft_key=held_back, children=children)])


async def _read_and_store_list_of_all_flows(
    services: Services, environment: Environment, parts: DiscoveryPages
) -> None:
    await parts.read_and_store_remaining_pages(
        DiscoverySource.ALL_FLOWS_LIST,
        partial(services.flow_pages.read_flows, environment.id),
        lambda flows: build_report_rows(
            parts.build_empty_row(DiscoverySource.ALL_FLOWS_LIST), flows
        ),
    )


def _build_flow_page(
    empty: DiscoveryPage, flows: Sequence[Workflow], reported: Mapping[str, FlowListEntry]
) -> DiscoveryPage:
    known, held_back, children = [], [], {}
    for row in flows:
        known.append(flow := row.summary)
        identity = flow.workflow_id
        definition: DefinitionSummary | FlowDefinition | None
        if identity in reported:
            held_back.append(
                held := _with_definition(reported[identity], row, row.client_data, row.name)
            )
            definition = held.definition
        elif CHILD_REFERENCE in row.client_data:
            definition, _ = parse_or_explain(row.client_data)
        else:
            continue  # most flows: the text shows that it need not be parsed
        if definition and definition.children:
            children[identity] = definition.children
    return replace(
        empty, workflows=tuple(known), flows_on_microsoft_key=tuple(held_back), children=children
    )


def _without_definition(flow: FlowListEntry, why: str = NOT_SHOWN) -> FlowOnMicrosoftKey:
    return FlowOnMicrosoftKey(
        workflow_id=flow.identity,
        flow_name=flow.flow_name,
        display_name=flow.display_name,
        is_on=flow.state is FlowState.ON,
        is_managed=False,
        in_solution=flow.workflow_id is not None,
        definition=None,
        unreadable_reason=why,
        digest="",
    )


def _with_definition(
    flow: FlowListEntry, shown: Workflow | FlowServiceFlow, client_data: str, title: str
) -> FlowOnMicrosoftKey:
    summary, problem, digest = parse_summary(client_data)
    return replace(
        _without_definition(flow),
        display_name=title,
        is_on=shown.state is FlowState.ON,
        is_managed=shown.is_managed,
        definition=summary,
        unreadable_reason=problem,
        digest=digest,
        owner=_find_owner(shown),
    )


def _find_owner(shown: Workflow | FlowServiceFlow) -> FlowOwner | None:
    if isinstance(shown, Workflow):
        return shown.owner
    entra_id = shown.owner_id.lower()
    return FlowOwner(id=entra_id, entra_id=entra_id) if entra_id else None


def _build_flow_from_detail(
    flow: FlowListEntry, detail: FlowServiceFlow, shown: FlowServiceFlow | str
) -> FlowOnMicrosoftKey:
    client_data = shown.client_data if isinstance(shown, FlowServiceFlow) else None
    if client_data is None:
        why = shown if isinstance(shown, str) else NOT_SHOWN
        return replace(
            _without_definition(flow, why),
            is_on=detail.state is FlowState.ON,
            is_managed=detail.is_managed,
            owner=_find_owner(detail),
        )
    held = _with_definition(flow, detail, client_data, detail.display_name)
    if held.definition is None:
        return held
    edits = list_possible_conversions(held.definition, in_solution=held.in_solution)
    return replace(
        held, conversion_preview=preview_conversion(client_data, edits) if edits else None
    )
