"""A tenant of HTTP flows that stay on Microsoft's key; settings of apps hold their URLs."""

from typing import Any

from tests.contract.tenant_world import GROUP, HTTP, definition
from tests.functional.wire.wire_seed import flow_seed, tenant_seed


def flow_ids(flows: int) -> list[str]:
    """Return the Dataverse ids of so many flows."""
    return [f"f0000000-0000-4000-8000-{number:012d}" for number in range(flows)]


def site_of(number: int, flows_per_app: int = 1) -> str:
    """Return the resource id of the app that calls a flow, by the flow's number."""
    return f"{GROUP}/providers/Microsoft.Web/sites/shop-{number // flows_per_app}"


def many_flows(flows: int, flows_per_app: int = 1, **more: Any) -> dict[str, Any]:
    """Return the tenant's description; `more` is said of each flow."""
    ids = flow_ids(flows)
    seeds = [flow_seed(one, f"Flow {n:05}", definition(HTTP), **more) for n, one in enumerate(ids)]
    sites: dict[str, dict[str, str]] = {}
    for number, one in enumerate(ids):
        settings = sites.setdefault(site_of(number, flows_per_app), {})
        settings[f"URL_{number}"] = f"{{{{trigger_url:{one}}}}}"
    description = tenant_seed(*seeds)
    description["azure"]["sites"] = [
        {"id": site, "hostNames": [f"{site.rpartition('/')[2]}.contoso.example"]}
        | {"appSettings": settings}
        for site, settings in sites.items()
    ]
    return description
