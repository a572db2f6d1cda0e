"""API: the page of a confirmation link, on which the owner of a declared caller confirms its
update.
"""

import json
import uuid
from typing import Annotated

import azure.functions as func
from pydantic import Field

from functions.dashboard.confirmation_page import build_confirmation_page
from functions.endpoints import ANYONE, HTML, ApiRequest, endpoint
from functions.http_headers import LOCATION
from functions.http_requests import Id, NoBody, NoQuery, RequestModel
from functions.http_responses import build_page_response
from shared.bootstrap import services
from shared.domain.audit import AuditEntry
from shared.domain.principal import PrincipalKind
from shared.errors import LinkRejected
from shared.html_pages import read_style
from shared.use_cases.audit_log import record_request, record_result
from shared.use_cases.audit_state import read_declared_callers
from shared.use_cases.confirm_by_link import (
    CONFIRMATION_PATH,
    LinkedCaller,
    confirm_caller_of_linked_flow,
    format_link_holder,
    open_link,
)

type Token = Annotated[str, Field(max_length=500)]


class ConfirmationLinkQuery(RequestModel):
    """The signed token of the confirmation link that was opened."""

    token: Token = ""


class ConfirmByLinkRequest(RequestModel):
    """Confirms that the caller of a confirmation link now calls the copy of one flow, or its
    original again.
    """

    token: Token = ""
    #: Id of the flow job, as on the page.
    job_id: Id
    #: The system now calls the copy; false: in a rollback, the original again.
    calls_copy: bool


@endpoint(role=ANYONE, media_types=(HTML,))
async def show_confirmation_page(
    call: ApiRequest[ConfirmationLinkQuery, NoBody],
) -> func.HttpResponse:
    """Return the page of a confirmation link. It changes nothing, because programs that check
    messages open links.
    """
    linked = await open_link(services(), call.query.token)
    return build_page_response(
        build_confirmation_page(services(), linked, call.query.token), style=read_style()
    )


# Recorded by its handler, because requests without a valid link must not fill the audit log.
@endpoint(
    role=ANYONE, media_types=(HTML,), status=303, answer_headers=(LOCATION,), is_recorded=False
)
async def confirm_by_link(
    call: ApiRequest[NoQuery, ConfirmByLinkRequest],
) -> func.HttpResponse:
    """Record a confirmation for one flow of a confirmation link, and redirect to the link's page.

    A repetition confirms nothing more.
    """
    body = call.body
    linked = await open_link(services(), body.token)
    pending = await record_request(
        services(), _build_audit_entry(linked, body), read_declared_callers, ""
    )
    try:
        await confirm_caller_of_linked_flow(
            services(), linked, body.job_id, calls_copy=body.calls_copy
        )
    except LinkRejected as err:
        await record_result(services(), pending, status=403, reason=str(err))
        raise
    await record_result(services(), pending, status=303, reason="")
    location = f"{CONFIRMATION_PATH}?token={body.token}"
    return func.HttpResponse(status_code=303, headers={LOCATION: location}, mimetype=HTML)


def _build_audit_entry(linked: LinkedCaller, body: ConfirmByLinkRequest) -> AuditEntry:
    content = {
        "name": linked.caller.name,
        "remediation_id": linked.link.remediation_id,
        "job_id": body.job_id,
        "calls_copy": body.calls_copy,
    }
    return AuditEntry(
        id=str(uuid.uuid4()),
        recorded_at=services().now,
        who=format_link_holder(linked.caller),
        who_id="",
        kind=PrincipalKind.LINK,
        client="",
        operation="confirm_by_link",
        target=CONFIRMATION_PATH,
        request_body=json.dumps(content),
    )
