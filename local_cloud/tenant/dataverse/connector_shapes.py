"""Which shapes of a connector operation a save takes: all of them, or just the newest (§5.6).

What makes the platform refuse the older ones is not published, so it is an assumption.
"""

from typing import Any

from local_cloud.tenant.core.platform_error import PlatformError
from local_cloud.tenant.environments.flow_facts import parse_client_data, walk_actions

_CONNECTOR_TYPES = ("OpenApiConnection", "ApiConnection")


def require_reference_hosts(client_data: str) -> None:
    """Refuse a definition with an operation that brings `authentication` or no reference name."""
    definition = parse_client_data(client_data)["definition"]
    for name, step in [*definition["triggers"].items(), *walk_actions(definition["actions"])]:
        kind, inputs = str(step.get("type")), step.get("inputs")
        if kind.startswith(_CONNECTOR_TYPES) and isinstance(inputs, dict):
            _require_newest(name, kind, inputs)


def _require_newest(name: str, kind: str, inputs: dict[str, Any]) -> None:
    what = f"The 'inputs' of workflow run action '{name}' of type '{kind}'"
    if "authentication" in inputs:
        raise PlatformError(
            400,
            "WorkflowRunActionInputsInvalidProperty",
            f"{what} should not have the property 'authentication'.",
        )
    if not (inputs.get("host") or {}).get("connectionReferenceName"):
        raise PlatformError(
            400,
            "WorkflowRunActionInputsMissingProperty",
            f"{what} is not valid. Property 'host.connectionReferenceName' is missing.",
        )
