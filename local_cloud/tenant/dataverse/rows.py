"""Define Dataverse's tables except `workflows`, and create and change their rows."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse.simulated_table import OPTIONAL_TABLES, SimulatedTable
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment

TABLES = {
    table.entity_set: table
    for table in (
        SimulatedTable(
            entity_set="connectionreferences",
            logical_name="connectionreference",
            key="connectionreferenceid",
            columns={
                "connectionreferencelogicalname": None,
                "connectionreferencedisplayname": None,
                "connectorid": None,
                "connectionid": None,
                "description": None,
                "promptingbehavior": 0,
                "statecode": 0,
                "_ownerid_value": None,
            },
            required=("connectionreferencelogicalname", "connectorid"),
            is_user_owned=True,
        ),
        SimulatedTable(
            entity_set="environmentvariabledefinitions",
            logical_name="environmentvariabledefinition",
            key="environmentvariabledefinitionid",
            columns={
                "schemaname": None,
                "displayname": None,
                "defaultvalue": None,
                "type": 100000000,
                "ismanaged": False,
            },
            required=("schemaname",),
        ),
        SimulatedTable(
            entity_set="environmentvariablevalues",
            logical_name="environmentvariablevalue",
            key="environmentvariablevalueid",
            columns={
                "schemaname": None,
                "value": None,
                "_environmentvariabledefinitionid_value": None,
            },
            required=("value", "_environmentvariabledefinitionid_value"),
            lookups={"EnvironmentVariableDefinitionId": "environmentvariabledefinitions"},
        ),
        SimulatedTable(
            entity_set="organizations",
            logical_name="organization",
            key="organizationid",
            columns={
                "name": None,
                "enableflowsinsolutionbydefault": False,
                "enablecanvasappsinsolutionsbydefault": False,
                "enableflowsinsolutionbydefaultgraceperiod": None,
            },
        ),
        SimulatedTable(
            entity_set="flowmachinegroups",
            logical_name="flowmachinegroup",
            key="flowmachinegroupid",
            columns={"name": None, "description": None, "managementtype": 0},
            required=("name",),
        ),
        SimulatedTable(
            entity_set="systemusers",
            logical_name="systemuser",
            key="systemuserid",
            columns={
                "fullname": None,
                "domainname": None,
                "azureactivedirectoryobjectid": None,
                "applicationid": None,
                "isdisabled": False,
            },
            is_read_only=True,
        ),
        SimulatedTable(
            entity_set="teams",
            logical_name="team",
            key="teamid",
            columns={
                "name": None,
                "azureactivedirectoryobjectid": None,
                "teamtype": 0,
                "membershiptype": 0,
                "isdefault": False,
            },
            required=("name",),
        ),
        SimulatedTable(
            entity_set="solutions",
            logical_name="solution",
            key="solutionid",
            columns={
                "uniquename": None,
                "friendlyname": None,
                "version": "1.0.0.0",
                "ismanaged": False,
                "isvisible": True,
                "installedon": None,
                "solutionpackageversion": None,
                "_publisherid_value": None,
            },
            required=("uniquename",),
            lookups={"publisherid": "publishers"},
        ),
        SimulatedTable(
            entity_set="publishers",
            logical_name="publisher",
            key="publisherid",
            columns={"uniquename": None, "friendlyname": None, "customizationprefix": None},
            required=("uniquename",),
        ),
        SimulatedTable(
            entity_set="solutioncomponents",
            logical_name="solutioncomponent",
            key="solutioncomponentid",
            columns={"objectid": None, "componenttype": 29, "_solutionid_value": None},
            is_read_only=True,
        ),
        SimulatedTable(
            entity_set="serviceendpoints",
            logical_name="serviceendpoint",
            key="serviceendpointid",
            columns={
                "name": None,
                "url": None,
                "authtype": 4,
                "authvalue": None,
                "isauthvalueset": False,
                "contract": 8,
                "description": None,
                "ismanaged": False,
            },
            required=("name", "contract"),
            write_only={"authvalue": "isauthvalueset"},
            max_lengths={"name": 256, "url": 2000, "authvalue": 2048},
            has_row_versions=False,
        ),
        *OPTIONAL_TABLES,
    )
}


def create_row(
    tenant: Tenant, environment: SimulatedEnvironment, table: SimulatedTable, body: Row
) -> Row:
    """Add a row to a table and return it. The body may contain its id."""
    values = read_body(table, body)
    missing = [name for name in table.required if values.get(name) is None]
    if missing:
        message = f"Attribute '{missing[0]}' cannot be NULL."
        raise SimulatedPlatformError(400, "0x80040203", message)
    row_id = str(body.get(table.key) or uuid4()).lower()
    rows = environment.get_table(table.entity_set)
    if row_id in rows:
        raise SimulatedPlatformError(
            412, "0x80040237", "A record with matching key values already exists."
        )
    now = format_whole_seconds(tenant.clock.now())
    rows[row_id] = {
        table.key: row_id,
        **table.columns,
        **values,
        "createdon": now,
        "modifiedon": now,
        "versionnumber": 1,
    }
    return rows[row_id]


def update_row(tenant: Tenant, table: SimulatedTable, row: Row, body: Row) -> None:
    row |= read_body(table, body)
    row["modifiedon"] = format_whole_seconds(tenant.clock.now())
    row["versionnumber"] += 1


def read_body(table: SimulatedTable, body: Row) -> Row:
    """Return the columns in a request's body, with resolved lookups.

    Rejects (400) an invalid body.
    """
    values: Row = {}
    for name, value in body.items():
        if name.endswith("@odata.bind"):
            column = f"_{name.partition('@')[0].lower()}_value"
            values[column] = str(value).rpartition("(")[2].rstrip(")").lower()
        elif name in table.columns:
            _require_short(table, name, value)
            values[name] = value
            if name in table.write_only:
                values[table.write_only[name]] = value is not None
        elif name != table.key and "@odata" not in name:
            message = f"An undeclared property '{name}' which only has property annotations."
            raise SimulatedPlatformError(400, "0x80048d19", message)
    return values


def _require_short(table: SimulatedTable, name: str, value: Any) -> None:
    limit = table.max_lengths.get(name)
    if limit is not None and len(value or "") > limit:
        message = (
            f"A validation error occurred. The length of the '{name}' attribute of the "
            f"'{table.logical_name}' entity exceeded the maximum allowed length of '{limit}'."
        )
        raise SimulatedPlatformError(400, "0x80044331", message)


def format_whole_seconds(moment: datetime) -> str:
    """Format a time as Dataverse does: without fractions of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_row_json(table: SimulatedTable, row: Row) -> Row:
    """Return a row in JSON format. It has an ETag if the table has row versions."""
    sent = {name: value for name, value in row.items() if name not in table.write_only}
    if table.has_row_versions:
        return {"@odata.etag": f'W/"{row["versionnumber"]}"', **sent}
    del sent["versionnumber"]
    return sent
