"""Read flow definitions as the fake platform does, with the code of the local tenant."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.flow_facts import (
    FlowFacts,
    InvalidDefinitionError,
    parse_client_data,
    read_facts,
    walk_actions,
)
from shared.domain.platform_errors import find_most_specific_code
from shared.errors import PlatformError

#: The action that a built flow carries into its copies, so that tests know the family.
LINEAGE = "Lineage"

_PARAMETER = re.compile(r"@\{?parameters\('([^']+)'\)\}?")
_SELF_STARTING = frozenset(
    {"recurrence", "openapiconnection", "apiconnection", "apiconnectionnotification"}
    | {"openapiconnectionwebhook", "apiconnectionwebhook", "openapiconnectionnotification"}
)


@lru_cache(maxsize=4096)
def parse_properties(client_data: str) -> dict[str, Any]:
    """Return the `properties` of a `clientdata`.

    The result is cached, so a caller must not change it.
    """
    return parse_client_data(client_data)


@lru_cache(maxsize=4096)
def parse_facts(client_data: str) -> FlowFacts:
    return read_facts(parse_properties(client_data))


def require_valid(client_data: str) -> None:
    """Raise `PlatformError` for a `clientdata` that the flow service would reject."""
    try:
        parse_facts(client_data)
    except InvalidDefinitionError as error:
        raise PlatformError(str(error), code="InvalidTemplate", status=400) from error


@contextmanager
def convert_tenant_errors() -> Iterator[None]:
    """Convert errors of the local tenant's code in this block to `PlatformError`."""
    try:
        yield
    except SimulatedPlatformError as error:
        code = find_most_specific_code(error.code, error.message)
        raise PlatformError(error.message, code=code, status=error.status) from error


@lru_cache(maxsize=4096)
def find_lineage(client_data: str) -> str | None:
    """Return the id that a flow of the test builders shares with its copies, or None for any other
    flow.
    """
    action = parse_properties(client_data)["definition"]["actions"].get(LINEAGE)
    return str(action["inputs"]["lineage"]) if action else None


def is_self_starting(client_data: str) -> bool:
    return parse_facts(client_data).trigger_type.lower() in _SELF_STARTING


@lru_cache(maxsize=4096)
def find_event_source(client_data: str) -> str | None:
    """Return a text that identifies the source of a connector trigger's events, or None for another
    trigger.

    A flow and its copy have the same source.
    """
    trigger = next(iter(parse_properties(client_data)["definition"]["triggers"].values()))
    if not is_self_starting(client_data) or trigger["type"] == "Recurrence":
        return None
    inputs = {
        name: part for name, part in trigger.get("inputs", {}).items() if name != "authentication"
    }
    parameters = dict(inputs.get("parameters", {}))
    parameters.pop("subscriptionRequest/name", None)  # of the registration, not of the source
    host = dict(inputs.get("host", {}))
    host.pop("connectionReferenceName", None)
    return json.dumps(
        [trigger["type"], inputs | {"host": host, "parameters": parameters}], sort_keys=True
    )


def is_webhook(client_data: str) -> bool:
    """Return whether the source sends its events to the flow.

    Such events are lost while the flow is off.
    """
    kind = parse_facts(client_data).trigger_type.lower()
    return kind.endswith(("webhook", "notification"))


def list_http_targets(client_data: str, variables: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the URL of each HTTP action, with environment variables replaced by their
    values.
    """
    definition = parse_properties(client_data)["definition"]
    parameters: dict[str, Any] = definition.get("parameters", {})

    def resolve_variable(match: re.Match[str]) -> str:
        parameter = parameters.get(match[1], {})
        schema_name = parameter.get("metadata", {}).get("schemaName", "")
        return variables.get(schema_name) or str(parameter.get("defaultValue", ""))

    for name, action in walk_actions(definition["actions"]):
        if action.get("type") == "Http":
            yield name, _PARAMETER.sub(resolve_variable, str(action["inputs"]["uri"]))
