"""Add an environment of a seed to the tenant, with its people, rows and flows."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse.access import IS_ADMINISTRATOR, MAY_IMPERSONATE
from local_cloud.tenant.dataverse.rows import TABLES, create_row
from local_cloud.tenant.dataverse.sharing import add_to_named_solution
from local_cloud.tenant.entra.directory import Directory, PrincipalType, SimulatedPrincipal
from local_cloud.tenant.environments.environment import (
    SimulatedCanvasApp,
    SimulatedConnection,
    SimulatedEnvironment,
)
from local_cloud.tenant.environments.flow import Flow, Run, SimulatedFlowState, SimulatedRole
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.lifecycle import grant_connections, store_variables
from local_cloud.tenant.flows.recurrence import compute_first_due
from local_cloud.tenant.flows.run_contents import build_trigger_outputs
from local_cloud.tenant.flows.runtime import build_run_name

type Description = dict[str, Any]

#: Whose solutions are that name no publisher.
_DEFAULT_PUBLISHER = {
    "uniquename": "DefaultPublisher",
    "friendlyname": "Default Publisher",
    "customizationprefix": "new",
}


def seed_environment(tenant: Tenant, description: Description) -> SimulatedEnvironment:
    now = tenant.clock.now()
    environment = SimulatedEnvironment(
        id=description["id"],
        display_name=str(description.get("displayName") or description["id"]),
        location=description.get("location", "europe"),
        azure_region=description.get("azureRegion", "westeurope"),
        sku=description.get("sku", "Production"),
        is_managed=description.get("isManaged", True),
        is_default=description.get("isDefault", False),
        created=now - timedelta(days=description.get("createdDaysAgo", 400)),
        org_host=description.get("orgHost"),
        migration_seconds=description.get("migrationSeconds"),
        blocked_connectors=set(description.get("blockedConnectors") or ()),
    )
    tenant.get_part(PowerPlatform).add_environment(environment)
    _seed_members(tenant.get_part(Directory), environment, description)
    _seed_rows(tenant, environment, description)
    for connection in description.get("connections") or []:
        environment.connections[connection["name"]] = SimulatedConnection(
            name=connection["name"],
            api=connection["api"],
            owner=connection["owner"],
            shared_with=set(connection.get("sharedWith") or []),
            error=connection.get("error", ""),
        )
    for app in description.get("canvasApps") or []:
        environment.canvas_apps[app["name"]] = SimulatedCanvasApp(
            name=app["name"],
            display_name=app.get("displayName", app["name"]),
            owner=app["owner"],
            flows=tuple(app.get("flows") or ()),
            has_document=app.get("hasDocument", True),
        )
    for flow in description.get("flows") or []:
        seed_flow(tenant, environment, flow)
    return environment


def _seed_members(
    directory: Directory, environment: SimulatedEnvironment, description: Description
) -> None:
    """Add the people and applications of the directory to an environment, as users.

    The seed's `members` sets the rights of some of them, or disables them.
    """
    rights = {member["id"]: member for member in description.get("members") or []}
    for principal in directory.principals.values():
        if principal.type is PrincipalType.GROUP:
            continue
        member = rights.get(principal.object_id, {})
        environment.add_user(_build_user_row(principal, member))


def _build_user_row(principal: SimulatedPrincipal, member: Description) -> dict[str, Any]:
    return {
        "systemuserid": str(member.get("systemUserId") or uuid4()).lower(),
        "fullname": principal.name,
        "domainname": principal.upn,
        "azureactivedirectoryobjectid": principal.object_id,
        "applicationid": principal.client_id or None,
        "isdisabled": member.get("isDisabled", False),
        "versionnumber": 1,
        IS_ADMINISTRATOR: member.get("isAdministrator", principal.is_admin),
        MAY_IMPERSONATE: member.get("mayImpersonate", False),
    }


def _seed_rows(tenant: Tenant, environment: SimulatedEnvironment, description: Description) -> None:
    organization = {"name": environment.display_name, **(description.get("organization") or {})}
    organization["organizationid"] = environment.org_id
    create_row(tenant, environment, TABLES["organizations"], organization)
    publisher = create_row(tenant, environment, TABLES["publishers"], _DEFAULT_PUBLISHER)
    for row in description.get("solutions") or []:
        published = {"_publisherid_value": publisher["publisherid"], **row}
        create_row(tenant, environment, TABLES["solutions"], published)
    for member, entity_set in (
        ("teams", "teams"),
        ("connectionReferences", "connectionreferences"),
        ("serviceEndpoints", "serviceendpoints"),
        ("machineGroups", "flowmachinegroups"),
    ):
        for row in description.get(member) or []:
            create_row(tenant, environment, TABLES[entity_set], row)
    for entity_set, rows in (description.get("rows") or {}).items():
        for row in rows:
            create_row(tenant, environment, TABLES[entity_set], row)
    for variable in description.get("environmentVariables") or []:
        _seed_variable(tenant, environment, variable)


def _seed_variable(
    tenant: Tenant, environment: SimulatedEnvironment, variable: Description
) -> None:
    definition = create_row(
        tenant,
        environment,
        TABLES["environmentvariabledefinitions"],
        {
            "schemaname": variable["schemaName"],
            "displayname": variable.get("displayName", variable["schemaName"]),
            "type": variable.get("type", 100000000),
            "defaultvalue": variable.get("defaultValue"),
        },
    )
    if "value" in variable:
        create_row(
            tenant,
            environment,
            TABLES["environmentvariablevalues"],
            {
                "schemaname": variable["schemaName"],
                "value": variable["value"],
                "_environmentvariabledefinitionid_value": definition[
                    "environmentvariabledefinitionid"
                ],
            },
        )


def seed_flow(tenant: Tenant, environment: SimulatedEnvironment, description: Description) -> Flow:
    """Add a flow to an environment as if it had existed for a long time."""
    now = tenant.clock.now()
    created = now - timedelta(days=description.get("createdDaysAgo", 90))
    workflow_entity_id = str(description.get("workflowEntityId") or uuid4()).lower()
    state = SimulatedFlowState(description.get("state", SimulatedFlowState.STARTED))
    flow = Flow(
        name=str(description.get("name") or workflow_entity_id).lower(),
        workflow_entity_id=workflow_entity_id,
        display_name=description["displayName"],
        client_data=_build_client_data(description),
        owner=description["owner"],
        created=created,
        modified=created,
        created_by=description["owner"],
        modified_by=description["owner"],
        description=description.get("description", ""),
        modern_type=description.get("modernFlowType", 0),
        state=state,
        suspension_reason=description.get("suspensionReason", "None"),
        is_managed=description.get("isManaged", False),
        is_in_solution=description.get("inSolution", True),
        roles={
            who: SimulatedRole(role) for who, role in (description.get("coOwners") or {}).items()
        },
        url_form=description.get("urlForm", "environment"),
        was_on=description.get("wasOn", state != SimulatedFlowState.STOPPED),
        protected_since=created if description.get("isProtected") else None,
        is_held_back=description.get("heldBack", False),
        stamped_reference=description.get("stampedReference", ""),
        run_seconds=description.get("runSeconds", 0.0),
    )
    tenant.get_part(PowerPlatform).add_flow(environment, flow)
    store_variables(environment, flow)
    if state == SimulatedFlowState.STARTED:
        grant_connections(environment, flow)
        environment.subscribe(flow)
        flow.next_due = compute_first_due(flow, now, is_new=False)
    for solution in description.get("solutions") or []:
        add_to_named_solution(environment, flow, solution)
    for run in description.get("runs") or []:
        flow.runs.append(_build_run(flow, run, now))
    return flow


def _build_client_data(description: Description) -> str:
    given = description.get("clientData")
    if isinstance(given, str):
        return given
    properties = {
        "connectionReferences": description.get("connectionReferences") or {},
        "definition": description.get("definition"),
    }
    return json.dumps(given or {"properties": properties, "schemaVersion": "1.0.0.0"})


def _build_run(flow: Flow, description: Description, now: datetime) -> Run:
    started = now - timedelta(seconds=description["secondsAgo"])
    headers = description.get("headers")
    trigger = next(iter(flow.parse_properties()["definition"]["triggers"].values()))
    body = str(description.get("body") or "").encode()
    return Run(
        name=build_run_name(started),
        started=started,
        ends=started + timedelta(seconds=description.get("seconds", 1)),
        trigger_name=flow.get_facts().trigger_name,
        outcome=description.get("status", "Succeeded"),
        error=description.get("error"),
        trigger_outputs=None if headers is None else build_trigger_outputs(trigger, headers, body),
    )
