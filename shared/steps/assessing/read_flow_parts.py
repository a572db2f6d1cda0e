"""Read the cloud flows of an environment for an assessment that runs in the background.

Stores each page before it requests the next one, so that after a crash or a used-up budget, only
one page is read again.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow
from shared.domain.plans.assessment_request import AssessmentProgress
from shared.domain.plans.discovery import (
    DiscoveryPage,
    DiscoverySource,
    list_whole_pages,
    select_reported_flows,
)
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.errors import InvalidInput, NotFound, PlatformError
from shared.jobs.leased_job import LeasedJob
from shared.steps.assessing.read_flow_facts import (
    NO_DATAVERSE,
    FlowReadResult,
    ReadRow,
    build_flow_facts,
    combine_flow_lists,
    explain_unread_flow,
    map_facts_by_id,
    read_missing_flow,
)
from shared.steps.flows.caller_index import (
    index_trigger_url,
    read_known_url_ids,
    read_url_id_of_runs,
)
from shared.steps.flows.discovery_pages import DiscoveryPages, build_report_rows, split_into_rows
from shared.steps.optional_read import build_no_answer

#: Most listed flows without a Dataverse row that are read. Each needs one request of a small
#: budget: at five requests a minute, an hour.
MOST_ALONE = 300
#: Why a trigger URL is not known.
NO_RUN = "no run of the last 28 days shows its URL"
_TOO_MANY = f"only {MOST_ALONE} flows are read one by one"


async def read_flow_parts(
    held: LeasedJob[EnvironmentJob], environment: Environment
) -> FlowReadResult:
    """Return every cloud flow, as `read_flows` does.

    Continue where an earlier invocation stopped. Raises errors that make the job wait, for example
    about a used-up budget or a service that does not answer. A source that rejects the request is
    left out, and the assessment says so.
    """
    parts = build_assessment_pages(held)
    await parts.load_stored_pages()
    everything = await _read_flow_list(parts, environment, DiscoverySource.MICROSOFT_KEY)
    staying = await _read_flow_list(parts, environment, DiscoverySource.MICROSOFT_KEY_LIST)
    read = await _read_rows(parts, environment)
    if isinstance(staying, NoAnswer) or isinstance(read, NoAnswer):
        return combine_flow_lists(everything, staying, read, {}, {})
    known = map_facts_by_id(read)
    missing = [flow for flow in staying if flow.identity not in known]
    await _read_and_store_missing_flows(parts, environment, missing[:MOST_ALONE])
    unread = {flow.identity: explain_unread_flow(_TOO_MANY) for flow in missing[MOST_ALONE:]}
    found: dict[str, FlowFacts] = {}
    for part in list_whole_pages(parts.parts, DiscoverySource.SINGLE_FLOW):
        (flow,) = part.reported
        if part.facts:
            (found[flow.identity],) = part.facts
        else:
            unread[flow.identity] = part.problem
    return combine_flow_lists(everything, staying, read, found, unread)


def build_assessment_pages(held: LeasedJob[EnvironmentJob]) -> DiscoveryPages:
    """Return the pages of an assessment, before they are loaded.

    Each stored page also updates the assessment's progress.
    """
    services = held.services
    began = services.now

    async def store_progress() -> None:
        """Store the progress in the job's row, where a status request reads it."""
        before = held.job.assessed
        pages = [part for part in parts.parts if part.ends_page]
        await held.save(
            replace(
                held.job,
                assessed=AssessmentProgress(
                    began=before.began if before else began,
                    read=services.now,
                    pages=len(pages),
                    flows=sum(len(part.facts) for part in parts.parts),
                    source=parts.parts[-1].source,
                ),
            )
        )

    parts = DiscoveryPages(
        services, held.open_rows(services.tables.discovery_pages), store_progress
    )
    return parts


async def _read_flow_list(
    parts: DiscoveryPages, environment: Environment, source: DiscoverySource
) -> Sequence[FlowListEntry] | NoAnswer:
    report = parts.services.flow_reports.read_microsoft_key_flows
    staying = source is DiscoverySource.MICROSOFT_KEY_LIST
    read = partial(report, environment.id, cannot_migrate_only=staying)

    def build_rows(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        return build_report_rows(parts.build_empty_row(source), flows)

    silent = await await_or_explain_failure(
        parts.read_and_store_remaining_pages(source, read, build_rows)
    )
    return silent or tuple(select_reported_flows(parts.parts, source).values())


async def _read_rows(parts: DiscoveryPages, environment: Environment) -> list[ReadRow] | NoAnswer:
    if environment.dataverse_url is None:
        return NO_DATAVERSE

    def build_rows(flows: Sequence[Workflow]) -> list[DiscoveryPage]:
        return [
            replace(
                parts.build_empty_row(DiscoverySource.DATAVERSE),
                workflows=tuple(row.summary for row in some),
                facts=tuple(map(build_flow_facts, some)),
            )
            for some in split_into_rows(flows)
        ]

    workflows = partial(parts.services.flow_pages.read_workflows, environment)
    silent = await await_or_explain_failure(
        parts.read_and_store_remaining_pages(DiscoverySource.DATAVERSE, workflows, build_rows)
    )
    pages = list_whole_pages(parts.parts, DiscoverySource.DATAVERSE)
    return silent or [row for part in pages for row in zip(part.workflows, part.facts, strict=True)]


async def _read_and_store_missing_flows(
    parts: DiscoveryPages, environment: Environment, missing: Sequence[FlowListEntry]
) -> None:
    read = select_reported_flows(parts.parts, DiscoverySource.SINGLE_FLOW)
    for flow in missing:
        if flow.identity in read:
            continue
        part = replace(parts.build_empty_row(DiscoverySource.SINGLE_FLOW), reported=(flow,))
        try:
            facts = await read_missing_flow(parts.services, environment, flow)
            part = replace(part, facts=(facts,))
        except (NotFound, PlatformError, InvalidInput) as err:
            part = replace(part, problem=explain_unread_flow(build_no_answer(err).message))
        await parts.store_page([part])


async def await_or_explain_failure(reading: Awaitable[None]) -> NoAnswer | None:
    """Return why a source could not be read, or None if it was read completely."""
    try:
        await reading
    except (NotFound, PlatformError, InvalidInput) as err:
        return build_no_answer(err)
    return None


async def read_and_store_trigger_url_ids(
    held: LeasedJob[EnvironmentJob], environment: Environment, found: FlowReadResult
) -> dict[str, str]:
    """Look up the trigger URL ids of flows and store them. Return why some are unknown.

    Sends one request for each unknown id, for a limited number of flows. Stops if the platform
    rejects a request. Raises errors that make the job wait.
    """
    parts, services = build_assessment_pages(held), held.services
    await parts.load_stored_pages()
    known = await read_known_url_ids(services, environment.id)
    looked = set(select_reported_flows(parts.parts, DiscoverySource.TRIGGER_URL))
    left_out: dict[str, str] = {}
    for flow in _select_flows_with_url(found):
        identity = flow.workflow_id
        if identity in known or identity in looked:
            continue
        if len(looked) == MOST_ALONE:
            left_out[identity] = _TOO_MANY
            continue
        try:
            name = flow.flow_name or identity
            url_id = await read_url_id_of_runs(services, environment.id, name)
        except (PlatformError, InvalidInput):
            break
        if url_id:
            found_by = held.job.id
            await index_trigger_url(
                services,
                KnownUrl(
                    environment_id=environment.id,
                    workflow_id=identity,
                    url_id=url_id,
                    found_by=found_by,
                ),
            )
            known[identity] = url_id
        listed = FlowListEntry(
            flow_name=flow.flow_name or identity,
            display_name=flow.display_name,
            workflow_id=identity,
            state=None,
        )
        part = replace(parts.build_empty_row(DiscoverySource.TRIGGER_URL), reported=(listed,))
        await parts.store_page([part])
        looked.add(identity)
    return left_out | dict.fromkeys(looked - known.keys(), NO_RUN)


def _select_flows_with_url(found: FlowReadResult) -> list[FlowFacts]:
    flows, reports = found.flows, found.reports
    if isinstance(flows, NoAnswer):
        return []
    return [
        flow
        for identity, flow in flows.items()
        if flow.summary
        and flow.summary.category.has_callback_url
        and (isinstance(reports, NoAnswer) or identity in reports.on_microsoft_key)
    ]
