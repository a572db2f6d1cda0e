"""Describe a local tenant with many HTTP flows on Microsoft's key, whose URLs are in settings of
apps.
"""

from typing import Any

from tests.functional.wire.wire_seed import build_flow_seed, build_mail_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import GROUP, HTTP, build_definition, build_references

#: Public flows have 16 actions and 12 KB in the mean; so have these, with the HTTP action.
_CONNECTOR_ACTIONS, _BUILT_IN_ACTIONS = 9, 7


def build_flow_ids(flows: int) -> list[str]:
    return [f"f0000000-0000-4000-8000-{number:012d}" for number in range(flows)]


def build_site_id(number: int, flows_per_app: int = 1) -> str:
    """Return the resource id of the app that calls the flow with this number."""
    return f"{GROUP}/providers/Microsoft.Web/sites/shop-{number // flows_per_app}"


def build_many_flows(flows: int, flows_per_app: int = 1, **more: Any) -> dict[str, Any]:
    """Return the description of a tenant with this number of flows.

    `more` has further members of each flow.
    """
    ids = build_flow_ids(flows)
    seeds = [
        build_flow_seed(one, f"Flow {n:05}", build_definition(HTTP), **more)
        for n, one in enumerate(ids)
    ]
    return _add_apps(build_tenant_seed(*seeds), ids, flows_per_app)


def build_many_public_flows(flows: int, flows_per_app: int = 1, **more: Any) -> dict[str, Any]:
    """Return the description of a tenant with flows as large as public ones, which send mail and
    call a host.

    Of the public flows with HTTP actions, two thirds call a host that is known only at run time.
    Here, the other flows call the app that calls them.
    """
    ids = build_flow_ids(flows)
    seeds = [
        build_flow_seed(
            one, f"Flow {n:05}", build_definition(HTTP, _build_actions(n, flows_per_app))
        )
        | {"connectionReferences": build_references("cr1_mail"), **more}
        for n, one in enumerate(ids)
    ]
    return _add_apps(build_tenant_seed(*seeds, **build_mail_seed()), ids, flows_per_app)


def _add_apps(description: dict[str, Any], ids: list[str], flows_per_app: int) -> dict[str, Any]:
    sites: dict[str, dict[str, str]] = {}
    for number, one in enumerate(ids):
        settings = sites.setdefault(build_site_id(number, flows_per_app), {})
        settings[f"URL_{number}"] = f"{{{{trigger_url:{one}}}}}"
    description["azure"]["sites"] = [
        {"id": site, "hostNames": [_build_host(site)], "appSettings": settings}
        for site, settings in sites.items()
    ]
    return description


def _build_host(site: str) -> str:
    return f"{site.rpartition('/')[2]}.contoso.example"


def _build_actions(number: int, flows_per_app: int) -> dict[str, Any]:
    host = f"https://{_build_host(build_site_id(number, flows_per_app))}"
    address = host if number % 3 == 2 else "@{triggerBody()?['address']}"
    actions = {f"Mail_{n}": _build_mail_action(n) for n in range(_CONNECTOR_ACTIONS)}
    actions |= {f"Text_{n}": _build_text_action(n) for n in range(_BUILT_IN_ACTIONS)}
    actions["Call"] = {
        "type": "Http",
        "inputs": {
            "method": "POST",
            "uri": f"{address}/orders/{number}",
            "headers": {"Content-Type": "application/json"},
            "body": "@outputs('Text_0')",
        },
    }
    last = None
    for name, action in actions.items():
        action["runAfter"] = {last: ["Succeeded"]} if last else {}
        last = name
    return actions


def _build_mail_action(number: int) -> dict[str, Any]:
    return {
        "type": "OpenApiConnection",
        "metadata": {"operationMetadataId": f"a0000000-0000-4000-8000-{number:012d}"},
        "inputs": {
            "host": {
                "apiId": "/providers/Microsoft.PowerApps/apis/shared_office365",
                "connectionName": "shared_office365",
                "operationId": "SendEmailV2",
            },
            "parameters": {
                "emailMessage/To": "@triggerBody()?['Author']?['Email']",
                "emailMessage/Subject": f"Step {number}: @{{triggerBody()?['title']}}",
                "emailMessage/Body": "<p>@{triggerBody()?['text']}</p>" * 10,
                "emailMessage/Importance": "Normal",
            },
            "authentication": "@parameters('$authentication')",
        },
    }


def _build_text_action(number: int) -> dict[str, Any]:
    text = {f"field {n}": f"@{{coalesce(triggerBody()?['field{n}'], '')}}" for n in range(8)}
    return {"type": "Compose", "inputs": text | {"number": number}}
