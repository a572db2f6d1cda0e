"""API: the Deletions page of the dashboard."""

import azure.functions as func

from functions.dashboard.deletions_page import (
    DeletionChoice,
    UndeletedOriginals,
    build_deletions_page,
)
from functions.deletion_models import DeletionFilterQuery
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import Count, NoBody
from functions.page_query import PageQuery, build_live_page_response, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.errors import CmkflowError
from shared.use_cases.list_deletions import list_deletions, list_undeleted_originals
from shared.use_cases.read_remediation_rows import get_remediation, reject_self_approval

#: Originals on a page.
_ON_PAGE = 100


class DeletionsPageQuery(PageQuery, DeletionFilterQuery):
    """Which deletions the Deletions page shows."""

    #: Show the retired originals of `environment` that have no deletion.
    undeleted: bool = False
    #: Number of originals before this page.
    start: Count = 0


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_deletions_page(call: ApiRequest[DeletionsPageQuery, NoBody]) -> func.HttpResponse:
    """Return the page of the deletions of all remediations."""
    query = call.query
    chosen = {name: str(getattr(query, name)) for name in DeletionFilterQuery.model_fields}
    chosen["undeleted"] = "true" if query.undeleted and query.environment else ""
    text = build_deletions_page(
        build_page_context(call),
        DeletionChoice(
            parameters={name: value for name, value in chosen.items() if value},
            start=query.start,
            limit=_ON_PAGE,
        ),
        await list_deletions(services(), query.filter),
        await _read_undeleted_originals(call) if chosen["undeleted"] else None,
    )
    return build_live_page_response(call, text)


async def _read_undeleted_originals(
    call: ApiRequest[DeletionsPageQuery, NoBody],
) -> UndeletedOriginals:
    start = call.query.start
    found, reading = await list_undeleted_originals(services(), call.query.filter)
    on_page = found[start : start + _ON_PAGE]
    not_permitted: dict[str, str] = {}
    for identity in {one.job.remediation_id for one in on_page}:
        try:
            reject_self_approval(
                services(), await get_remediation(services(), identity), call.principal.id
            )
        except CmkflowError as err:
            not_permitted[identity] = str(err)
    return UndeletedOriginals(
        total=len(found),
        on_page=tuple(on_page),
        not_permitted=not_permitted,
        unreadable_rows=tuple(reading.unreadable),
    )
