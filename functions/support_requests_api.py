"""API: requests to Microsoft's support, which the app drafts and a person files."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import StringConstraints

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.plans.support_request import (
    SupportRequest,
    SupportRequestKind,
    SupportRequestState,
)
from shared.domain.principal import Role
from shared.use_cases import manage_support_requests
from shared.use_cases.audit_state import read_support_request
from shared.validation_text import TextPattern


class MarkFiledRequest(RequestModel):
    """The ticket of a support request that a person filed."""

    #: As Microsoft's support shows it.
    ticket_number: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=60),
        TextPattern(
            r"^[A-Za-z0-9][A-Za-z0-9#_.-]*$",
            "Use the number that Microsoft's support shows, such as 2511290050001234.",
        ),
    ]
    requested_by: Text | None = None


class ReopenSupportRequest(RequestModel):
    """Names who reopens a support request."""

    requested_by: Text | None = None


class SupportRequestResponse(ApiResponse):
    """A support request, and whether it was filed."""

    id: str
    kind: SupportRequestKind
    state: SupportRequestState
    #: Empty: it is about the tenant.
    environment_id: str
    environment_name: str
    opened_at: datetime
    #: When the support window closes; null: never.
    closes_at: datetime | None
    #: Null: nothing counts down.
    days_left: int | None
    filed_at: datetime | None
    filed_by: str
    ticket_number: str

    @classmethod
    def build(cls, request: SupportRequest) -> Self:
        now = services().now
        return cls(
            **asdict(request),
            id=request.id,
            state=request.find_state(now),
            closes_at=request.closes_at,
            days_left=request.count_days_left(now),
        )


class SupportRequestDraftResponse(ApiResponse):
    """A support request with the text to file."""

    request: SupportRequestResponse
    geography: str
    region: str
    policy_id: str
    key_applied_at: datetime | None
    migrated_at: datetime | None
    subject: str
    #: The lines of the text.
    lines: tuple[str, ...]
    #: The flows whose run history is requested.
    flow_ids: tuple[str, ...]
    #: Why the flows are unknown; empty if they were read.
    flows_unknown_reason: str


@endpoint(role=Role.READER)
async def list_support_requests(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[SupportRequestResponse]:
    """Return the support requests, ordered by the end of the time in which they can be filed.

    Reads stored rows only.
    """
    found = await manage_support_requests.list_support_requests(services())
    return ItemListResponse[SupportRequestResponse](
        items=tuple(map(SupportRequestResponse.build, found))
    )


@endpoint(role=Role.READER)
async def show_support_request(
    call: ApiRequest[NoQuery, NoBody],
) -> SupportRequestDraftResponse:
    """Return a support request with the text to file. Reads the flows that the text names."""
    found = await manage_support_requests.show_support_request(services(), call.id)
    return SupportRequestDraftResponse(
        request=SupportRequestResponse.build(found.request),
        geography=found.request.geography,
        region=found.request.region,
        policy_id=found.request.policy_id,
        key_applied_at=found.request.key_applied_at,
        migrated_at=found.request.migrated_at,
        subject=found.draft.subject,
        lines=found.draft.lines,
        flow_ids=found.flow_ids,
        flows_unknown_reason=found.flows_unknown_reason,
    )


@endpoint(role=Role.OPERATOR, subject=read_support_request)
async def mark_support_request_filed(
    call: ApiRequest[NoQuery, MarkFiledRequest],
) -> SupportRequestResponse:
    """Record that a support request was filed, by whom and with which ticket."""
    found = await manage_support_requests.record_filing(
        services(), call.id, by=call.requester_name, ticket_number=call.body.ticket_number
    )
    return SupportRequestResponse.build(found)


@endpoint(role=Role.OPERATOR, subject=read_support_request)
async def reopen_support_request(
    call: ApiRequest[NoQuery, ReopenSupportRequest],
) -> SupportRequestResponse:
    """Record that a support request was not filed after all, so that the days left to file it are
    shown again.
    """
    return SupportRequestResponse.build(
        await manage_support_requests.reopen_request(services(), call.id)
    )
