"""Test data of the firewall kind *App Service site*."""

from collections.abc import Mapping, Sequence

from tests.kinds.case import HOST, FirewallCase, Json


def build_site(name: str = "orders-api", **properties: object) -> Json:
    return {
        "id": f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/{name}",
        "name": name,
        "type": "Microsoft.Web/sites",
        "properties": {
            "defaultHostName": f"{name}.azurewebsites.net",
            "hostNames": [f"{name}.azurewebsites.net", HOST.title()],
            **properties,
        },
    }


def build_restriction(address: str, priority: int, action: str = "Allow", **more: object) -> Json:
    return {"ipAddress": address, "priority": priority, "action": action, "name": address, **more}


def build_web_config(*restrictions: Json, **properties: object) -> Json:
    return {"properties": {"ipSecurityRestrictions": list(restrictions), **properties}}


def _build_web_config(tags: Sequence[str]) -> Json:
    return build_web_config(
        *(
            build_restriction(tag, priority, tag="ServiceTag")
            for priority, tag in enumerate(tags, start=100)
        )
    )


def _build_resources(tags: Sequence[str]) -> Mapping[str, Json]:
    app = build_site()
    return {app["id"]: app, f"{app['id']}/config/web": _build_web_config(tags)}


CASE = FirewallCase(
    name="orders-api",
    command="webapp config access-restriction add",
    resources=_build_resources,
    seed=lambda tags: {
        "sites": [
            {
                "id": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg"
                "/providers/Microsoft.Web/sites/orders-api",
                "hostNames": [HOST],
                "web": _build_web_config(tags)["properties"],
            }
        ]
    },
)
