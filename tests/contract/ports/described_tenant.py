"""Describe the tenant with which both implementations of the ports begin."""

from copy import deepcopy
from typing import Any

from tests.contract import adapter_world
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    APP,
    BUTTON_FLOW,
    DAILY_FLOW,
    ENCRYPTION_USER,
    HTTP_FLOW,
    MAKER,
    POLICY_IDENTITY,
    UNLICENSED,
    VAULT_ID,
)
from tests.local_cloud.tenant.tenant_world import GROUP as RESOURCE_GROUP

GROUP = "c0000000-0000-4000-8000-000000000001"
GROUP_TEAM = "70000000-0000-4000-8000-000000000001"
GUESTS_TEAM = "70000000-0000-4000-8000-000000000002"
OWN_TEAM = "70000000-0000-4000-8000-000000000003"
OPERATOR = "b0000000-0000-4000-8000-0000000000e0"
TRAINEE = "b0000000-0000-4000-8000-0000000000f0"
STRANGER = "b0000000-0000-4000-8000-00000000dead"

APP_OF_FLOW = "d0000000-0000-4000-8000-000000000001"
APP_WITHOUT_DOCUMENT = "d0000000-0000-4000-8000-000000000002"
APP_WITHOUT_FLOWS = "d0000000-0000-4000-8000-000000000003"
API_MANAGEMENT = f"{RESOURCE_GROUP}/providers/Microsoft.ApiManagement/service/contoso"
NAMED_VALUE = f"{API_MANAGEMENT}/namedValues/colour"
#: The type that a policy assignment of this name denies.
SETTINGS = "Microsoft.Web/sites/slots/config"
POLICY_NAME = "deny-settings-of-slots"
RUNBOOK = (
    f"{RESOURCE_GROUP}/providers/Microsoft.Automation/automationAccounts/contoso/runbooks/greet"
)
SQL_SERVER = f"{RESOURCE_GROUP}/providers/Microsoft.Sql/servers/orders"

PROJECT = {"id": "8d1f3a52-0000-4000-8000-000000000001", "name": "Sales"}
HOOK = {
    "id": "3c2ef72c-0000-4000-8000-000000000001",
    "publisherId": "tfs",
    "eventType": "git.push",
    "consumerId": "webHooks",
    "consumerActionId": "httpRequest",
    "publisherInputs": {"projectId": PROJECT["id"]},
    "consumerInputs": {"url": "https://contoso.example", "resourceDetailsToSend": "all"},
    "status": "enabled",
}
VARIABLE_GROUP = {
    "id": 7,
    "name": "urls",
    "type": "Vsts",
    "variables": {"URL": {"value": "x"}, "COLOUR": {"value": "blue"}},
    "variableGroupProjectReferences": [{"name": "urls", "projectReference": PROJECT}],
}


def build_description() -> dict[str, Any]:
    full = deepcopy(adapter_world.build_description())
    directory = full["directory"]
    directory["users"] += [
        {"id": OPERATOR, "name": "Operator", "upn": "op@contoso.example"},
        {"id": TRAINEE, "name": "Trainee", "upn": "tr@contoso.example", "hasPremium": False},
    ]
    directory["groups"] = [{"id": GROUP, "name": "Sales"}]
    directory["deviceCodeUser"] = OPERATOR
    environment = full["environments"][0]
    environment["members"].append({"id": UNLICENSED, "isDisabled": True})
    environment["teams"] = [
        {"teamid": GUESTS_TEAM, "name": "Sales guests", "azureactivedirectoryobjectid": GROUP}
        | {"teamtype": 2, "membershiptype": 3},
        {"teamid": GROUP_TEAM, "name": "Sales", "azureactivedirectoryobjectid": GROUP}
        | {"teamtype": 2},
        {"teamid": OWN_TEAM, "name": "Night shift"},
    ]
    environment["solutions"] += [
        {"uniquename": "Default", "friendlyname": "Default Solution"},
        {"uniquename": "Bought", "friendlyname": "Bought", "ismanaged": True},
    ]
    texts = [f"{{{{trigger_url:{HTTP_FLOW}}}}}", None]
    environment["rows"] = {
        "adx_sitesettings": [{"adx_name": "Url", "adx_value": text} for text in texts]
    }
    for flow in environment["flows"]:
        if flow["workflowEntityId"] == HTTP_FLOW:
            flow["solutions"] = ["Orders", "Default", "Bought"]
        if flow["workflowEntityId"] == DAILY_FLOW:
            flow["runs"] = [{"secondsAgo": age} for age in (300, 40 * 86400)]
        if flow["workflowEntityId"] == BUTTON_FLOW:
            flow["description"] = "Press it"
            flow["coOwners"] = {ADMIN: "CanEdit", GROUP: "CanView"}
    broken = {"name": "sql-maker", "api": "shared_sql", "owner": MAKER, "error": "Wrong password"}
    environment["connections"].append(broken)
    environment["canvasApps"] = [
        {"name": APP_OF_FLOW, "displayName": "Requests", "owner": MAKER, "flows": [HTTP_FLOW]},
        {"name": APP_WITHOUT_DOCUMENT, "displayName": "Broken", "owner": MAKER}
        | {"flows": [HTTP_FLOW], "hasDocument": False},
        {"name": APP_WITHOUT_FLOWS, "displayName": "Plain", "owner": MAKER},
    ]
    environment["machineGroups"] = [
        {"name": "Own machines", "managementtype": 0},
        {"name": "Night shift", "managementtype": 1},
    ]
    environment["organization"] = {"enableflowsinsolutionbydefault": True}
    versions = [{"createdDaysAgo": 99}, {"createdDaysAgo": 1}]
    full["azure"]["vaults"][0]["keys"][0]["versions"] = versions
    full["azure"]["roleAssignments"] += [
        {"scope": scope, "principalId": POLICY_IDENTITY, "roleDefinitionId": ENCRYPTION_USER}
        for scope in (VAULT_ID.rpartition("/providers")[0], f"{VAULT_ID}/keys/pp-cmk")
    ]
    full["azure"]["sites"][0] |= {
        "kind": "functionapp,workflowapp",
        "files": {"call/workflow.json": '{ "definition": "ä" }', "host.json": "{}"},
    }
    condition = {"field": "type", "equals": SETTINGS}
    denial = {"scope": RESOURCE_GROUP, "name": POLICY_NAME, "condition": condition}
    full["azure"]["policyAssignments"] = [denial]
    full["azure"]["resources"] += [
        {"id": API_MANAGEMENT, "type": "Microsoft.ApiManagement/service", "properties": {}},
        {
            "id": NAMED_VALUE,
            "type": "Microsoft.ApiManagement/service/namedValues",
            "properties": {"displayName": "colour", "secret": True, "value": "blue"},
        },
        {
            "id": RUNBOOK.partition("/runbooks")[0],
            "type": "Microsoft.Automation/automationAccounts",
            "properties": {},
        },
        {
            "id": RUNBOOK,
            "type": "Microsoft.Automation/automationAccounts/runbooks",
            "properties": {"state": "Published", "content": "Write-Output 'Grüße'"},
        },
        {"id": SQL_SERVER, "type": "Microsoft.Sql/servers", "properties": {}},
        {
            "id": f"{SQL_SERVER}/firewallRules/office",
            "type": "Microsoft.Sql/servers/firewallRules",
            "properties": {"startIpAddress": "203.0.113.1", "endIpAddress": "203.0.113.9"},
        },
    ]
    full["github"]["repositories"] = [
        {
            "name": "contoso/shop",
            "hooks": [
                {"id": 7, "config": {"url": "https://contoso.example", "secret": "********"}}
            ],
            "variables": [{"name": "COLOUR", "value": "blue"}],
        }
    ]
    full["azureDevOps"] = [
        {
            "name": "contoso",
            "members": [APP],
            "projects": [PROJECT],
            "hooks": [HOOK, HOOK | {"id": "h2", "consumerId": "slack"}],
            "variableGroups": [VARIABLE_GROUP],
        }
    ]
    return full
