"""Serve short definitions of tables: names, key, and whether rows have ETags."""

import uuid
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from local_cloud.tenant.core.odata import parse_filter, select_properties
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.dataverse.access import require_actor
from local_cloud.tenant.dataverse.answers import build_row_answer
from local_cloud.tenant.dataverse.rows import TABLES
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment


async def list_tables(request: Request) -> Response:
    environment, _ = require_actor(request)
    query = request.query_params
    matches = parse_filter(query["$filter"]) if "$filter" in query else None
    found = [
        select_properties(one, query.get("$select"), keeps={"MetadataId"})
        for one in _list_definitions(environment)
        if matches is None or matches(one)
    ]
    return build_row_answer({"value": found})


async def describe_table(request: Request) -> Response:
    """Return the definition of a table. See platform.md#conditional-writes."""
    definition = _find_definition(request)
    names = request.query_params.get("$select")
    return build_row_answer(select_properties(definition, names, keeps={"LogicalName"}))


async def list_choices(request: Request) -> Response:
    """Return an empty list: in the tenant, choice columns have numbers without labels."""
    _find_definition(request)
    return build_row_answer({"value": []})


def _find_definition(request: Request) -> Row:
    environment, _ = require_actor(request)
    name = request.path_params["table"]
    for one in _list_definitions(environment):
        if one["LogicalName"] == name:
            return one
    raise SimulatedPlatformError(404, "0x80060888", f"Could not find an entity with name {name}.")


def _list_definitions(environment: SimulatedEnvironment) -> Iterator[Row]:
    yield _build_definition("workflow", "workflows", "workflowid", has_row_versions=True)
    for table in TABLES.values():
        if not table.is_optional or environment.get_table(table.entity_set):
            names = (table.logical_name, table.entity_set, table.key)
            yield _build_definition(*names, has_row_versions=table.has_row_versions)


def _build_definition(name: str, entity_set: str, key: str, *, has_row_versions: bool) -> Row:
    return {
        "MetadataId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "LogicalName": name,
        "SchemaName": name,
        "EntitySetName": entity_set,
        "PrimaryIdAttribute": key,
        "IsOptimisticConcurrencyEnabled": has_row_versions,
    }
