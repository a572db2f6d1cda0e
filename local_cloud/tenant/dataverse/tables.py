"""Serve all tables of Dataverse except `workflows`. Their columns are in rows.py."""

from datetime import datetime
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.dataverse.access import (
    IS_ADMINISTRATOR,
    MAY_IMPERSONATE,
    Actor,
    build_privilege_error,
    find_user_id,
    require_actor,
)
from local_cloud.tenant.dataverse.answers import (
    build_list_answer,
    build_row_answer,
    build_written_answer,
    select_members,
)
from local_cloud.tenant.dataverse.conditions import build_missing_row_error, require_conditions
from local_cloud.tenant.dataverse.connection_references import require_usable_connection
from local_cloud.tenant.dataverse.rows import (
    TABLES,
    build_row_json,
    create_row,
    read_body,
    update_row,
)
from local_cloud.tenant.dataverse.simulated_table import SimulatedTable
from local_cloud.tenant.dataverse.workflows import wrap_errors
from local_cloud.tenant.environments.access import find_platform, find_tenant
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment


async def list_rows(request: Request) -> Response:
    environment, _ = require_actor(request)
    table = _get_table(request)
    rows = [
        _read_sent_row(table, row)
        for row in environment.list_shown_rows(table.entity_set, _get_time(request))
    ]
    return build_list_answer(request, environment, table.entity_set, rows)


async def get_row(request: Request) -> Response:
    environment, _ = require_actor(request)
    table = _get_table(request)
    shown = environment.find_shown_row(table.entity_set, _get_row_id(request), _get_time(request))
    if shown is None:
        raise build_missing_row_error(table.logical_name, _get_row_id(request))
    return build_row_answer(
        select_members(request, environment, table.entity_set, _read_sent_row(table, shown))
    )


async def post_row(request: Request) -> Response:
    environment, actor = require_actor(request)
    table = _get_table(request)
    body = _build_new_row(request, environment, actor, await request.json())
    row_id = str(body.setdefault(table.key, str(uuid4()))).lower()
    _keep_for_reads(request, environment, table, row_id)
    row = create_row(find_tenant(request), environment, table, body)
    return build_written_answer(request, environment, table.entity_set, _read_sent_row(table, row))


async def patch_row(request: Request) -> Response:
    """Change a row. Without `If-Match`, a missing row is created with the id in the path."""
    environment, actor = require_actor(request)
    table, body, row_id = _get_table(request), await request.json(), _get_row_id(request)
    row = environment.get_table(table.entity_set).get(row_id)
    _require_conditions(request, table, row_id, row)
    if row is None:
        body = _build_new_row(request, environment, actor, body | {table.key: row_id})
        _keep_for_reads(request, environment, table, row_id)
        row = create_row(find_tenant(request), environment, table, body)
    else:
        _require_write(table, environment, actor, row)
        if "connectionid" in body:
            _require_content(table, environment, actor, row | body)
        _keep_for_reads(request, environment, table, row_id)
        update_row(find_tenant(request), table, row, _find_kept_part(request, table, body))
    return build_written_answer(request, environment, table.entity_set, _read_sent_row(table, row))


async def remove_row(request: Request) -> Response:
    environment, actor = require_actor(request)
    table = _get_table(request)
    row = _require_row(request, environment, table)
    _require_write(table, environment, actor, row)
    _require_conditions(request, table, row[table.key], row)
    _keep_for_reads(request, environment, table, row[table.key])
    del environment.get_table(table.entity_set)[row[table.key]]
    return Response(status_code=204)


def _find_kept_part(request: Request, table: SimulatedTable, body: Row) -> Row:
    """Return the part of an accepted change that is stored.

    The tenant may assume that the next changes of `organizations` do not stick: then nothing is
    stored.
    """
    assumptions = find_platform(request).assumptions
    if table.entity_set != "organizations":
        return body
    read_body(table, body)
    if assumptions.organization_changes_that_do_not_stick > 0:
        assumptions.organization_changes_that_do_not_stick -= 1
        return {}
    return body


def _build_new_row(
    request: Request, environment: SimulatedEnvironment, actor: Actor, body: Row
) -> Row:
    """Return a new row. Its owner is the actor, unless the body names another one."""
    table = _get_table(request)
    if not table.is_user_owned:
        _require_write(table, environment, actor)
    _require_content(table, environment, actor, body)
    owner = {"_ownerid_value": find_user_id(environment, actor.object_id)}
    return owner | body if "_ownerid_value" in table.columns else body


def _keep_for_reads(
    request: Request, environment: SimulatedEnvironment, table: SimulatedTable, row_id: str
) -> None:
    find_platform(request).keep_row_for_reads(
        environment, table.entity_set, row_id, _get_time(request)
    )


def _get_time(request: Request) -> datetime:
    return find_tenant(request).clock.now()


def _get_table(request: Request) -> SimulatedTable:
    entity_set = request.path_params["entity_set"]
    table = TABLES.get(entity_set)
    environment, _ = require_actor(request)
    if table is None or (table.is_optional and not environment.get_table(entity_set)):
        message = f"Resource not found for the segment '{entity_set}'."
        raise SimulatedPlatformError(404, "0x80060888", message)
    return table


def _require_write(
    table: SimulatedTable, environment: SimulatedEnvironment, actor: Actor, row: Row | None = None
) -> None:
    is_theirs = (
        table.is_user_owned
        and row is not None
        and row["_ownerid_value"] == find_user_id(environment, actor.object_id)
    )
    if table.is_read_only or not (actor.is_administrator or is_theirs):
        raise build_privilege_error(actor.object_id, f"prvWrite{table.logical_name}")


def _require_conditions(
    request: Request, table: SimulatedTable, row_id: str, row: Row | None
) -> None:
    if not table.has_row_versions and request.headers.get("If-Match", "*") != "*":
        message = f"Optimistic concurrency isn't enabled for entity type {table.logical_name}."
        raise SimulatedPlatformError(400, "0x8006088d", message)
    version = row["versionnumber"] if row else None
    require_conditions(request, entity=table.logical_name, row_id=row_id, version=version)


def _require_content(
    table: SimulatedTable, environment: SimulatedEnvironment, actor: Actor, body: Row
) -> None:
    if table.entity_set == "connectionreferences":
        with wrap_errors():
            require_usable_connection(environment, actor, body)


def _get_row_id(request: Request) -> str:
    return str(request.path_params["row_id"]).lower()


def _require_row(request: Request, environment: SimulatedEnvironment, table: SimulatedTable) -> Row:
    row = environment.get_table(table.entity_set).get(_get_row_id(request))
    if row is None:
        raise build_missing_row_error(table.logical_name, _get_row_id(request))
    return row


def _read_sent_row(table: SimulatedTable, row: Row) -> Row:
    sent = build_row_json(table, row)
    for hidden in (IS_ADMINISTRATOR, MAY_IMPERSONATE):
        sent.pop(hidden, None)
    return sent
