"""API: the Audit page of the dashboard."""

import azure.functions as func

from functions.audit_api import MOST_EXPORTED, AuditQuery
from functions.audit_query import AuditFilterQuery
from functions.dashboard.audit_page import AuditChoice, build_audit_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import NoBody
from functions.page_query import PageQuery, build_live_page_response, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.compare_audit_page import compare_audit_page
from shared.use_cases.read_audit_names import read_audit_names
from shared.use_cases.show_audit import show_audit


class AuditPageQuery(PageQuery, AuditQuery):
    """Which audit entries the Audit page shows."""


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_audit_page(call: ApiRequest[AuditPageQuery, NoBody]) -> func.HttpResponse:
    """Return a page of the audit log, newest first."""
    query = call.query
    found = await show_audit(services(), query.filter, limit=query.limit, after=query.after)
    chosen = {name: str(getattr(query, name)) for name in AuditFilterQuery.model_fields}
    text = build_audit_page(
        build_page_context(call),
        AuditChoice(
            parameters={name: value for name, value in chosen.items() if value},
            limit=query.limit,
            after=query.after,
        ),
        found,
        await read_audit_names(services(), found.items),
        await compare_audit_page(services(), found),
        most_exported=MOST_EXPORTED,
    )
    return build_live_page_response(call, text)
