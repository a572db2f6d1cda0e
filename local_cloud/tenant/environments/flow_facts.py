"""Read trigger, calls and connections from a flow's definition, as the platform does.

The app has a separate reader for definitions, so that a mistake in one of them shows in tests.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

#: Kinds of Request trigger that hand out a callback URL (platform.md#trigger-kinds).
URL_KINDS = frozenset({"Http", "TeamsWebhook"})
#: Request-style operations of the Teams connector (platform.md#teams-triggers).
TEAMS_OPERATIONS = frozenset(
    {
        "TeamsIncomingWebhookTrigger",
        "OnMessageSelected",
        "OnMessageSelectedV2",
        "OnComposeMessage",
        "OnComposeMessageV2",
        "TeamsCardTrigger",
        "WebhookKeywordTrigger",
        "WebhookAtMentionTrigger",
        "WebhookNewMessageTrigger",
        "WebhookChatMessageTrigger",
        "WebhookMessageReactionTrigger",
    }
)
_SUBSCRIPTION = "subscriptionRequest/name"
_LIST_AS_ADMIN_V1 = "ListFlowsInEnvironment"


class InvalidDefinitionError(ValueError):
    """A flow's `clientdata` is invalid, so the flow service rejects it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedConnectionUse:
    key: str
    #: Connector, e.g. `shared_office365`.
    api: str
    #: Logical name of the connection reference, for flows in a solution.
    logical_name: str | None
    #: Name of the connection itself, where the flow is bound to one.
    connection_name: str | None
    #: True if the flow uses the connection of the person who runs it.
    is_invokers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    trigger_name: str
    trigger_type: str
    trigger_kind: str
    operation_id: str
    #: Id by which a trigger of Dataverse names its registration; empty: it does not.
    subscription: str
    #: `All`, `Tenant`, … of a Request trigger.
    authentication: str
    relative_path: str
    is_teams: bool
    children: tuple[str, ...]
    lists_flows_as_admin_v1: bool
    has_http_action: bool
    has_response: bool
    connections: tuple[SimulatedConnectionUse, ...]
    #: Definition parameter → schema name of the environment variable behind it.
    variables: tuple[tuple[str, str], ...]

    @property
    def has_callback_url(self) -> bool:
        return self.trigger_type == "Request" and self.trigger_kind in URL_KINDS

    @property
    def is_http(self) -> bool:
        return self.trigger_type == "Request" and self.trigger_kind == "Http"

    @property
    def is_premium(self) -> bool:
        return self.is_http or self.has_http_action

    @property
    def is_power_apps_v1(self) -> bool:
        return self.trigger_type == "Request" and self.trigger_kind == "PowerApp"

    def has_microsoft_key_reason(self, *, in_solution: bool) -> bool:
        """Return whether the flow's own definition keeps it on Microsoft's key.

        A parent also stays if its child does; this is not included. The tenant has this list of
        reasons only here (platform.md#flows-that-stay).
        """
        return (
            self.is_http
            or self.is_teams
            or self.lists_flows_as_admin_v1
            or (self.is_power_apps_v1 and not in_solution)
        )


def parse_client_data(text: str) -> dict[str, Any]:
    """Return the `properties` of a `clientdata`.

    Raises `InvalidDefinitionError` if it is malformed.
    """
    try:
        properties = json.loads(text)["properties"]
        definition = properties["definition"]
        definition["actions"].items()
        has_trigger = bool(definition["triggers"].items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidDefinitionError(f"The template is not valid: {error!r}.") from error
    if not has_trigger:
        raise InvalidDefinitionError("The template is not valid: it has no trigger.")
    return dict(properties)


def read_facts(properties: dict[str, Any]) -> FlowFacts:
    definition = properties["definition"]
    name, trigger = next(iter(definition["triggers"].items()))
    inputs = _get_mapping(trigger.get("inputs"))
    connections = tuple(_list_connections(properties.get("connectionReferences") or {}))
    actions = [action for _, action in walk_actions(definition["actions"])]
    types = {str(action.get("type")).lower() for action in actions}
    operation = _get_operation(trigger)
    kind = str(trigger.get("kind") or "")
    return FlowFacts(
        trigger_name=name,
        trigger_type=str(trigger.get("type")),
        trigger_kind=kind,
        operation_id=operation,
        subscription=_get_id_or_nothing(_get_mapping(inputs.get("parameters")).get(_SUBSCRIPTION)),
        authentication=str(inputs.get("triggerAuthenticationType") or "All"),
        relative_path=str(inputs.get("relativePath") or ""),
        is_teams=kind == "TeamsWebhook" or operation in TEAMS_OPERATIONS,
        children=tuple(
            action["inputs"]["host"]["workflowReferenceName"].lower().strip("{}")
            for action in actions
            if str(action.get("type")).lower() == "workflow"
        ),
        lists_flows_as_admin_v1=any(
            _get_operation(action) == _LIST_AS_ADMIN_V1 for action in actions
        ),
        has_http_action=bool(types & {"http", "httpwebhook"}),
        has_response="response" in types,
        connections=connections,
        variables=tuple(
            (parameter, details["metadata"]["schemaName"])
            for parameter, details in (definition.get("parameters") or {}).items()
            if isinstance(details, dict) and (details.get("metadata") or {}).get("schemaName")
        ),
    )


def _get_id_or_nothing(name: object) -> str:
    """Return the name of a webhook's subscription if it is a GUID, else an empty text."""
    try:
        return str(UUID(str(name)))
    except ValueError:
        return ""


def walk_actions(actions: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the document of every action, also inside scopes, branches and loops."""
    stack = [actions]
    while stack:
        for name, action in stack.pop().items():
            yield name, action
            branches = [action, action.get("else"), action.get("default")]
            branches += (action.get("cases") or {}).values()
            stack += [branch["actions"] for branch in branches if branch and branch.get("actions")]


def _get_operation(step: dict[str, Any]) -> str:
    """Return the connector operation of an action.

    Older definitions have it only in their metadata.
    """
    inputs = _get_mapping(step.get("inputs"))
    system = _get_mapping(_get_mapping(step.get("metadata")).get("flowSystemMetadata"))
    found = inputs.get("operationId") or _get_mapping(inputs.get("host")).get("operationId")
    return str(found or system.get("swaggerOperationId") or "")


def _get_mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list_connections(references: dict[str, Any]) -> Iterator[SimulatedConnectionUse]:
    for key, reference in references.items():
        connection = reference.get("connection") or {}
        api = (reference.get("api") or {}).get("name") or str(reference.get("id", key))
        source = reference.get("runtimeSource") or reference.get("source") or "embedded"
        yield SimulatedConnectionUse(
            key=key,
            api=api.rpartition("/")[2],
            logical_name=connection.get("connectionReferenceLogicalName")
            or reference.get("connectionReferenceLogicalName"),
            connection_name=connection.get("name") or reference.get("connectionName"),
            is_invokers=str(source).lower() == "invoker",
        )
