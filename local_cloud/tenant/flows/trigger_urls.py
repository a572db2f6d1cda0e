"""Build trigger URLs in the platform's formats. No other module builds one.

See platform.md#url-shapes.
"""

from typing import Any
from urllib.parse import quote

from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.environments.power_platform import build_environment_host

#: Stamp of the old hosts (`prod-NN`) and of the newer paths (`/cu/NN/`).
_STAMP = "24"


def build_callback(environment: SimulatedEnvironment, flow: Flow) -> dict[str, Any]:
    """Return the `response` of `listCallbackUrl`: the trigger URL and its parts."""
    facts = flow.get_facts()
    base = f"https://{_get_host(environment, flow)}:443{_build_path_prefix(flow)}"
    base += f"/workflows/{flow.workflow_id}/triggers/{quote(facts.trigger_name)}/paths/invoke"
    queries = {"api-version": "2016-06-01" if flow.url_form == "classic" else "1"}
    if facts.authentication == "All":
        queries |= {"sp": f"/triggers/{facts.trigger_name}/run", "sv": "1.0"}
        queries["sig"] = flow.compute_signature()
    relative = f"/{facts.relative_path.lstrip('/')}" if facts.relative_path else ""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in queries.items())
    return {
        "value": f"{base}{relative}?{query}",
        "method": _get_method(flow),
        "basePath": base,
        "relativePath": relative,
        "queries": queries,
    }


def _get_host(environment: SimulatedEnvironment, flow: Flow) -> str:
    if flow.url_form == "classic":
        return f"prod-{_STAMP}.{environment.azure_region}.logic.azure.com"
    return build_environment_host(environment.id)


def _build_path_prefix(flow: Flow) -> str:
    match flow.url_form:
        case "classic":
            return ""
        case "capacity_unit":
            return f"/powerautomate/automations/direct/cu/{_STAMP}"
        case _:
            return "/powerautomate/automations/direct"


def _get_method(flow: Flow) -> str:
    trigger = next(iter(flow.parse_properties()["definition"]["triggers"].values()))
    return str((trigger.get("inputs") or {}).get("method") or "POST")
