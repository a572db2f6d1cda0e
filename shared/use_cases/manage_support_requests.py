"""List support requests, show their drafts, and record that a person filed one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from shared.alerts import read_readable
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.keys.environment_checks import ENVIRONMENT_LIMIT, ENVIRONMENT_WARNING
from shared.domain.name_lookup import NamedItem
from shared.domain.plans.support_request import (
    SupportRequest,
    SupportRequestDraft,
    SupportRequestKind,
    build_environment_limit_draft,
    build_run_history_draft,
)
from shared.errors import AlreadyExists, Conflict, NotFound
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.discovery_pages import read_all_pages
from shared.steps.optional_read import read_or_no_answer

_PARTITION = "support_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRequestView:
    """A support request with the draft of its text."""

    request: SupportRequest
    draft: SupportRequestDraft
    #: Flows whose run history is requested.
    flow_ids: tuple[str, ...]
    #: Why the flows are unknown; empty if they were read.
    flows_unknown_reason: str


async def list_support_requests(services: Services) -> list[SupportRequest]:
    """Return the support requests. Those whose support window closes first come first."""
    rows = read_readable(services, services.tables.support_requests.scan(_PARTITION))
    found = [kept.item async for kept in rows]
    return sorted(found, key=lambda one: (one.closes_at is None, one.closes_at, one.id))


async def show_support_request(services: Services, request_id: str) -> SupportRequestView:
    """Return a support request with a draft of its text. Reads flows for the draft.

    Raises `NotFound` if the request does not exist.
    """
    request = (await _get_support_request(services, request_id)).item
    if request.kind is SupportRequestKind.ENVIRONMENT_LIMIT:
        links = [
            kept.item
            async for kept in read_readable(services, services.tables.policy_links.scan("link"))
            if kept.item.policy_id
        ]
        draft = build_environment_limit_draft(links, ENVIRONMENT_LIMIT)
        return SupportRequestView(
            request=request, draft=draft, flow_ids=(), flows_unknown_reason=""
        )
    flows = await read_or_no_answer(_read_flows(services, request.environment_id))
    reason = flows.message if isinstance(flows, NoAnswer) else ""
    known = [] if isinstance(flows, NoAnswer) else flows
    return SupportRequestView(
        request=request,
        draft=build_run_history_draft(request, known, reason),
        flow_ids=tuple(one.id for one in known),
        flows_unknown_reason=reason,
    )


async def record_filing(
    services: Services, request_id: str, *, by: str, ticket_number: str
) -> SupportRequest:
    """Record who filed a request, and its ticket number."""
    kept = await _get_support_request(services, request_id)
    if kept.item.filed_at and kept.item.ticket_number == ticket_number:
        return kept.item
    filed = kept.item.with_filing(by=by, ticket_number=ticket_number, at=services.now)
    return (await services.tables.support_requests.replace(kept, filed)).item


async def reopen_request(services: Services, request_id: str) -> SupportRequest:
    """Record that a request was not filed, so that the days left are shown again."""
    kept = await _get_support_request(services, request_id)
    if kept.item.filed_at is None:
        return kept.item
    return (await services.tables.support_requests.replace(kept, kept.item.with_reopening())).item


async def update_environment_limit_request(
    services: Services, environments: Sequence[Environment]
) -> None:
    """Open the request to raise the environment limit when the tenant is near it.

    Removes an open request when the tenant is no longer near the limit.
    """
    table = services.tables.support_requests
    request = SupportRequest(kind=SupportRequestKind.ENVIRONMENT_LIMIT, opened_at=services.now)
    count = sum(one.policy is not None for one in environments)
    if count >= ENVIRONMENT_WARNING:
        with suppress(AlreadyExists):
            await table.insert(request)
        return
    kept = await table.get(_PARTITION, request.id)
    if kept and kept.item.filed_at is None:
        with suppress(Conflict, NotFound):
            await table.delete(kept)


async def _get_support_request(services: Services, request_id: str) -> StoredItem[SupportRequest]:
    kept = await services.tables.support_requests.get(_PARTITION, request_id)
    if kept is None:
        raise NotFound(f"There is no support request {request_id}.")
    return kept


async def _read_flows(services: Services, environment_id: str) -> list[NamedItem]:
    environment = await services.environments.get(environment_id)
    jobs = read_readable(services, services.tables.flow_jobs.scan(environment_id))
    copies = {kept.item.copy.id async for kept in jobs}
    rows = await read_all_pages(partial(services.flow_pages.read_workflow_summaries, environment))
    flows = [
        NamedItem(id=one.workflow_id, name=one.name)
        for one in rows
        if one.workflow_id not in copies
    ]
    return sorted(flows, key=lambda one: (one.name.casefold(), one.id))
