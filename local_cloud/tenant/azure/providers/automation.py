"""Serve Automation accounts with their variables and runbooks.

Only variables can be changed. The published text of a runbook is `content` in the seed;
`get_runbook_content` returns it. Other reads show neither this text nor the values of encrypted
variables.
"""

import json

from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.providers import ResourceProvider
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

ACCOUNTS = "Microsoft.Automation/automationAccounts"
VARIABLES = f"{ACCOUNTS}/variables"
RUNBOOKS = f"{ACCOUNTS}/runbooks"
_ACCOUNT = f"{GROUP}/providers/{ACCOUNTS}/{{parent}}"


def build_routes() -> list[Route]:
    return [
        build_arm_route("PATCH", f"{_ACCOUNT}/variables/{{name}}", update_variable),
        build_arm_route("GET", f"{_ACCOUNT}/runbooks/{{name}}/content", get_runbook_content),
    ]


async def update_variable(call: ArmCall) -> JsonObject:
    there = call.get_existing(VARIABLES, call.get_path_part("parent"), call.get_path_part("name"))
    given = (await call.read_json()).get("properties") or {}
    properties = there["properties"] | {
        name: given[name] for name in ("value", "description") if name in given
    }
    try:
        json.loads(str(properties.get("value", "null")))
    except ValueError:
        raise SimulatedPlatformError(400, "BadRequest", "The value is no JSON.") from None
    document = there | {"properties": properties}
    call.azure.resources.put(document)
    return show_part(document)


async def get_runbook_content(call: ArmCall) -> Response:
    runbook = call.get_existing(RUNBOOKS, call.get_path_part("parent"), call.get_path_part("name"))
    content = runbook["properties"].get("content")
    if content is None:
        raise SimulatedPlatformError(404, "NotFound", "The runbook was never published.")
    return Response(content, media_type="text/powershell")


def show_part(document: JsonObject) -> JsonObject:
    properties = document["properties"]
    hidden = "value" if properties.get("isEncrypted") else "content"
    shown = {name: value for name, value in properties.items() if name != hidden}
    return document | {"properties": shown}


PROVIDER = ResourceProvider(
    readable={
        ("automation_accounts", "automation_account"): ACCOUNTS,
        ("automation_variables", "automation_variable"): VARIABLES,
        ("runbooks", "runbook"): RUNBOOKS,
    },
    routes=build_routes,
    shown={RUNBOOKS: show_part, VARIABLES: show_part},
)
