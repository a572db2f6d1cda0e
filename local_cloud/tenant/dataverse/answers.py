"""Build responses of Dataverse's Web API: pages of rows, and single rows."""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.odata import (
    build_query_error,
    parse_expansions,
    parse_filter,
    parse_order,
    select_properties,
)
from local_cloud.tenant.core.paging import build_next_link, parse_start, parse_top
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import IN_BATCH
from local_cloud.tenant.dataverse.rows import TABLES
from local_cloud.tenant.environments.access import find_platform
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment

#: Entity set → key column.
KEYS = {"workflows": "workflowid"} | {name: table.key for name, table in TABLES.items()}
#: Entity set → lookup → entity set of what it points to.
_LOOKUPS = {name: table.lookups for name, table in TABLES.items()} | {
    "workflows": {"owninguser": "systemusers", "owningteam": "teams"}
}
BASE = "/api/data/v9.2"
#: Characters of the address of a GET that is no part of a batch (Microsoft: "Use FetchXML within
#: $batch": 32 KB, and 64 KB within).
LONGEST = 32_768
#: Conditions of one query (Microsoft: "Filter rows": `TooManyConditionsInQuery`).
MOST_CONDITIONS = 500
_CONDITION = re.compile(r" (?:eq|ne|gt|ge|lt|le) |(?:contains|startswith|endswith)\(")


def build_list_answer(
    request: Request, environment: SimulatedEnvironment, entity_set: str, rows: Sequence[Row]
) -> Response:
    """Return a page of the rows that match the query, with the link to the next page."""
    query = request.query_params
    _require_short(request)
    if order := query.get("$orderby"):
        key, descending = parse_order(order)
        rows = sorted(rows, key=key, reverse=descending)
    matches = parse_filter(query["$filter"]) if "$filter" in query else None
    size, place = _parse_page_size(request), parse_start(request)
    chosen: list[Row] = []
    while place < len(rows) and len(chosen) < size:
        row = rows[place]
        place += 1
        if matches is None or matches(row):
            chosen.append(select_members(request, environment, entity_set, row))
    body: Row = {"@odata.context": f"{request.url.path}#rows", "value": chosen}
    if place < len(rows) and "$top" not in query:
        body["@odata.nextLink"] = build_next_link(request, place)
    return build_row_answer(body)


def _require_short(request: Request) -> None:
    """Reject a URL or a filter that is too long. In a batch, batch.py checks the URL."""
    if IN_BATCH not in request.scope and len(str(request.url)) > LONGEST:
        # No source names the status and the code [SIM].
        raise SimulatedPlatformError(414, "0x80060888", "The request URI is too long.")
    if len(_CONDITION.findall(request.query_params.get("$filter", ""))) > MOST_CONDITIONS:
        message = "Number of conditions in query exceeded maximum limit."
        raise SimulatedPlatformError(400, "0x8004430C", message)


def select_members(
    request: Request, environment: SimulatedEnvironment, entity_set: str, row: Row
) -> Row:
    """Return the members of a row that `$select` and `$expand` name, and always its key."""
    lookups = _LOOKUPS[entity_set]
    query = request.query_params
    columns = [name for name in query.get("$select", "").split(",") if name.strip() not in lookups]
    chosen = select_properties(row, ",".join(columns), keeps={KEYS[entity_set]})
    for name, names in parse_expansions(query.get("$expand", "")).items():
        if name not in lookups:
            raise build_query_error(f"Could not find a property named '{name}'.")
        target = environment.get_table(lookups[name]).get(row[f"_{name.lower()}_value"] or "")
        keeps = {KEYS[lookups[name]]}
        chosen[name] = target and select_properties(target, names, keeps=keeps)
    return chosen


def _parse_page_size(request: Request) -> int:
    limit = find_platform(request).assumptions.dataverse_page
    if "$top" in request.query_params:
        return parse_top(request, limit)
    prefer = request.headers.get("Prefer", "").replace(" ", "")
    asked = prefer.partition("odata.maxpagesize=")[2].partition(",")[0]
    return min(limit, int(asked)) if asked.isdigit() and int(asked) > 0 else limit


def build_written_answer(
    request: Request, environment: SimulatedEnvironment, entity_set: str, row: Row
) -> Response:
    """Return the response to a create or update: 204, or the row with `return=representation`."""
    row_id = row[KEYS[entity_set]]
    url = f"https://{environment.api_host}{BASE}/{entity_set}({row_id})"
    headers = {"OData-EntityId": url, "OData-Version": "4.0"}
    if "return=representation" not in request.headers.get("Prefer", ""):
        return Response(status_code=204, headers=headers)
    return JSONResponse(row, 201 if request.method == "POST" else 200, headers=headers)


def build_row_answer(body: Row) -> Response:
    return JSONResponse(body, headers={"OData-Version": "4.0"})
