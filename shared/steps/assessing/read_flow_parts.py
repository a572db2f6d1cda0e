"""Read every cloud flow of an environment for an assessment that runs in the background.

Reads the same as `read_flow_facts.py`, but stores each page before it requests the next one, so
that a crash or a used-up budget costs one page.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow
from shared.domain.plans.assessment_request import AssessmentProgress
from shared.domain.plans.discovery import DiscoveryPage, DiscoverySource, reported_in, whole_pages
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import InvalidInput, NotFound, PlatformError
from shared.jobs.leased_job import LeasedJob
from shared.steps.assessing.read_flow_facts import (
    NO_DATAVERSE,
    FlowReadResult,
    ReadRow,
    facts_of,
    facts_of_row,
    joined,
    not_read,
    read_alone,
)
from shared.steps.flows.discovery_pages import DiscoveryPages, in_rows, rows_of_report
from shared.steps.optional_read import no_answer

#: Most listed flows without a Dataverse row that are read. Each needs one request of a small
#: budget: at five requests a minute, an hour.
MOST_ALONE = 300
_TOO_MANY = f"only {MOST_ALONE} flows are read one by one"


async def read_flow_parts(
    held: LeasedJob[EnvironmentJob], environment: Environment
) -> FlowReadResult:
    """Return every cloud flow, as `read_flows` does; continue where an earlier invocation stopped.

    Raises errors that make the job wait: a used-up budget, or a service that does not answer. A
    source that rejects the request is left out, and the assessment says so.
    """
    parts = _build_pages(held)
    await parts.open()
    everything = await _read_list(parts, environment, DiscoverySource.MICROSOFT_KEY)
    staying = await _read_list(parts, environment, DiscoverySource.MICROSOFT_KEY_LIST)
    read = await _read_rows(parts, environment)
    if isinstance(staying, NoAnswer) or isinstance(read, NoAnswer):
        return joined(everything, staying, read, {}, {})
    known = facts_of(read)
    missing = [flow for flow in staying if flow.identity not in known]
    await _read_alone(parts, environment, missing[:MOST_ALONE])
    unread = {flow.identity: not_read(_TOO_MANY) for flow in missing[MOST_ALONE:]}
    found: dict[str, FlowFacts] = {}
    for part in whole_pages(parts.parts, DiscoverySource.SINGLE_FLOW):
        (flow,) = part.reported
        if part.facts:
            (found[flow.identity],) = part.facts
        else:
            unread[flow.identity] = part.problem
    return joined(everything, staying, read, found, unread)


def _build_pages(held: LeasedJob[EnvironmentJob]) -> DiscoveryPages:
    services = held.services
    began = services.now

    async def advanced() -> None:
        """Store the progress in the job's row, which is all that a status request reads."""
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

    parts = DiscoveryPages(services, held.rows(services.tables.discovery_pages), advanced)
    return parts


async def _read_list(
    parts: DiscoveryPages, environment: Environment, source: DiscoverySource
) -> Sequence[FlowListEntry] | NoAnswer:
    report = parts.services.flow_reports.microsoft_key_flows
    staying = source is DiscoverySource.MICROSOFT_KEY_LIST
    read = partial(report, environment.id, cannot_migrate_only=staying)

    def rows(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        return rows_of_report(parts.part(source), flows)

    silent = await _read_or_reason(parts.read(source, read, rows))
    return silent or tuple(reported_in(parts.parts, source).values())


async def _read_rows(parts: DiscoveryPages, environment: Environment) -> list[ReadRow] | NoAnswer:
    if environment.dataverse_url is None:
        return NO_DATAVERSE

    def rows(flows: Sequence[Workflow]) -> list[DiscoveryPage]:
        return [
            replace(
                parts.part(DiscoverySource.DATAVERSE),
                workflows=tuple(row.summary for row in some),
                facts=tuple(map(facts_of_row, some)),
            )
            for some in in_rows(flows)
        ]

    workflows = partial(parts.services.flow_pages.workflows, environment)
    silent = await _read_or_reason(parts.read(DiscoverySource.DATAVERSE, workflows, rows))
    pages = whole_pages(parts.parts, DiscoverySource.DATAVERSE)
    return silent or [row for part in pages for row in zip(part.workflows, part.facts, strict=True)]


async def _read_alone(
    parts: DiscoveryPages, environment: Environment, missing: Sequence[FlowListEntry]
) -> None:
    """Read listed flows that Dataverse does not have, and store a row for each."""
    read = reported_in(parts.parts, DiscoverySource.SINGLE_FLOW)
    for flow in missing:
        if flow.identity in read:
            continue
        part = replace(parts.part(DiscoverySource.SINGLE_FLOW), reported=(flow,))
        try:
            facts = await read_alone(parts.services, environment, flow)
            part = replace(part, facts=(facts,))
        except (NotFound, PlatformError, InvalidInput) as err:
            part = replace(part, problem=not_read(no_answer(err).message))
        await parts.keep([part])


async def _read_or_reason(reading: Awaitable[None]) -> NoAnswer | None:
    """Return why a source could not be read; None: it was read completely."""
    try:
        await reading
    except (NotFound, PlatformError, InvalidInput) as err:
        return no_answer(err)
    return None
