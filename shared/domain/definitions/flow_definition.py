"""Reads a flow's definition: what starts it, which flows it calls, where it sends HTTP.

Six formats hold one and the same workflow definition; everything after this module sees one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from shared.domain.definitions.action_nodes import ActionNode, walk_actions
from shared.domain.definitions.comparison import same_definition
from shared.domain.definitions.connector_operations import is_list_flows_as_admin_v1, operation_of
from shared.domain.definitions.json_values import as_mapping, decoded, mapping_at, text_at
from shared.domain.definitions.trigger_kinds import TriggerCategory, classify_trigger
from shared.errors import InvalidInput

__all__ = [
    "CHILD_REFERENCE",
    "ChildFlowCall",
    "DefinitionFormat",
    "FlowDefinition",
    "HttpAction",
    "Trigger",
    "UnreadableDefinition",
    "definition_place",
    "parse_client_data",
    "parsed_or_problem",
    "same_definition",
]


#: Member of a child-flow action's host that holds the child's id (platform.md#child-flow-action).
CHILD_REFERENCE = "workflowReferenceName"


class DefinitionFormat(StrEnum):
    """Where a definition was found; it decides what else can be known about the flow."""

    #: Dataverse `workflow.clientdata` (platform.md#client-data), also the files of a solution's
    #: Workflows folder
    CLIENT_DATA = "clientdata"
    #: `definition.json` of an exported package, and a flow as the Flow service returns it
    #: (platform.md#flow-read)
    FLOW = "flow"
    #: Logic Apps: a workflow.json, a gallery template, a resource
    LOGIC_APP = "logic_app"
    #: a workflow definition with nothing around it
    BARE = "bare"


class UnreadableDefinition(InvalidInput):
    """The text is no flow definition."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"No flow definition can be read: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger of a definition."""

    name: str
    type: str
    kind: str | None
    #: `shared_teams`, resolved through the connection references; None without a connector
    connector: str | None
    operation_id: str | None
    category: TriggerCategory
    #: `triggerAuthenticationType` as written: `All`, `Tenant`, …
    #: (platform.md#trigger-authentication)
    authentication: str | None
    method: str | None
    relative_path: str | None
    raw: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildFlowCall:
    """An action that runs another flow."""

    #: the action's name, unique in its definition
    action: str
    #: the name with the containers around it
    path: str
    #: the child's Dataverse workflow id in lower case; a Logic App: the child's name
    workflow_id: str
    #: the reference exactly as the definition writes it
    raw_reference: str
    #: False for a Logic App, whose children are named, not referenced
    by_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAction:
    """An action that sends an HTTP request from the flow's own outbound network."""

    action: str
    path: str
    method: str
    #: as written: may be an expression, may carry a signature, so never shown as it is
    uri: str = field(repr=False)
    #: lower case; None where an expression decides it
    host: str | None


@dataclass(frozen=True, kw_only=True)
class FlowDefinition:
    """A flow as its definition tells it. Parts are read when first asked for, then kept."""

    format: DefinitionFormat
    #: the flow's name where the format carries one
    name: str | None = None
    definition: dict[str, object] = field(repr=False)
    connection_references: dict[str, object] = field(repr=False)

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        """The triggers; a flow has exactly one, a template may have none."""
        raw = mapping_at(self.definition, "triggers")
        return tuple(self._trigger(name, as_mapping(body)) for name, body in raw.items())

    @cached_property
    def child_calls(self) -> tuple[ChildFlowCall, ...]:
        """Calls of other flows, in the definition's order."""
        calls = (_child_call(step) for step in self._steps if step.type == "Workflow")
        return tuple(call for call in calls if call)

    @cached_property
    def http_actions(self) -> tuple[HttpAction, ...]:
        """HTTP actions, in the definition's order."""
        return tuple(_http_action(step) for step in self._steps if step.type in _HTTP_TYPES)

    @cached_property
    def uses_list_flows_as_admin_v1(self) -> bool:
        """Whether an action keeps the flow on the MMK by itself (platform.md#flows-that-stay)."""
        return any(
            is_list_flows_as_admin_v1(step.raw, self.connection_references) for step in self._steps
        )

    @cached_property
    def environment_variables(self) -> tuple[str, ...]:
        """Schema names of the environment variables it reads (platform.md#variable-parameters)."""
        parameters = mapping_at(self.definition, "parameters").values()
        names = (text_at(mapping_at(as_mapping(p), "metadata"), "schemaName") for p in parameters)
        return tuple(name for name in names if name)

    @property
    def category(self) -> TriggerCategory:
        """The category of the first trigger."""
        return self.triggers[0].category if self.triggers else TriggerCategory.NONE

    @property
    def trigger_categories(self) -> tuple[TriggerCategory, ...]:
        """The category of each trigger."""
        return tuple(trigger.category for trigger in self.triggers)

    @property
    def is_self_starting(self) -> bool:
        """Whether any trigger starts the flow with nobody calling it."""
        return any(trigger.category.is_self_starting for trigger in self.triggers)

    @property
    def children(self) -> frozenset[str]:
        """Workflow ids of the flows it calls, in lower case."""
        return frozenset(call.workflow_id for call in self.child_calls if call.by_reference)

    @cached_property
    def _steps(self) -> tuple[ActionNode, ...]:
        return tuple(walk_actions(self.definition))

    def _trigger(self, name: str, raw: Mapping[str, object]) -> Trigger:
        operation = operation_of(raw, self.connection_references)
        inputs = mapping_at(raw, "inputs")
        kind = text_at(raw, "kind")
        type_ = text_at(raw, "type") or ""
        return Trigger(
            name=name,
            type=type_,
            kind=kind,
            connector=operation.connector,
            operation_id=operation.operation_id,
            category=classify_trigger(
                type=type_,
                kind=kind,
                connector=operation.connector,
                operation_id=operation.operation_id,
            ),
            authentication=text_at(inputs, "triggerAuthenticationType"),
            method=text_at(inputs, "method"),
            relative_path=text_at(inputs, "relativePath"),
            raw=raw,
        )


_HTTP_TYPES = frozenset({"Http", "HttpWebhook"})


def parse_client_data(text: str | Mapping[str, object]) -> FlowDefinition:
    """Return the flow that a JSON text, or the object it decodes to, describes.

    Takes Dataverse `clientdata` (platform.md#client-data), a package's `definition.json`, a flow of
    the Flow service whole or its `properties` (platform.md#flow-read), a Logic Apps
    `workflow.json`, and a bare definition. Raises `UnreadableDefinition` for anything else; its
    reason never quotes the text.
    """
    document = _decode(text) if isinstance(text, str) else text
    place = definition_place(document)
    if place is None:
        reason = "the JSON holds no workflow definition with triggers and actions"
        raise UnreadableDefinition(reason)
    holder = mapping_at(document, *place[:-1])
    return FlowDefinition(
        format=_format(document, place),
        name=text_at(holder, "displayName") if place else None,
        definition=dict(mapping_at(document, *place)),
        connection_references=dict(mapping_at(holder, "connectionReferences")) if place else {},
    )


def parsed_or_problem(
    text: str | Mapping[str, object],
) -> tuple[FlowDefinition | None, str]:
    """Return the flow that a JSON text, or what it decodes to, describes, or why none."""
    try:
        return parse_client_data(text), ""
    except UnreadableDefinition as err:
        return None, err.reason


def definition_place(document: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the member names that lead to an object's workflow definition, None if it has none."""
    for place in (("properties", "definition"), ("definition",), ()):
        found = mapping_at(document, *place)
        # Both members are there in every definition that a designer ever saved.
        if isinstance(found.get("triggers"), Mapping) and isinstance(found.get("actions"), Mapping):
            return place
    return None


def _decode(text: str) -> Mapping[str, object]:
    try:
        document = decoded(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        # Not its message and not as a cause: it carries the whole text, signatures and all.
        raise UnreadableDefinition(f"the text is not JSON (line {error.lineno})") from None
    except ValueError:
        raise UnreadableDefinition("the JSON has a number too long or nests too deep") from None
    if not isinstance(document, dict):
        raise UnreadableDefinition("the JSON is not an object")
    return document


def _format(document: Mapping[str, object], place: tuple[str, ...]) -> DefinitionFormat:
    if (text_at(document, "type") or "").lower().startswith("microsoft.logic/"):
        return DefinitionFormat.LOGIC_APP
    if text_at(document, "kind") in {"Stateful", "Stateless", "Agentic"}:
        return DefinitionFormat.LOGIC_APP
    if "schemaVersion" in document:
        return DefinitionFormat.CLIENT_DATA
    if _reads_like_logic_app(document, place):
        return DefinitionFormat.LOGIC_APP
    return DefinitionFormat.FLOW if place else DefinitionFormat.BARE


def _reads_like_logic_app(document: Mapping[str, object], place: tuple[str, ...]) -> bool:
    """Say whether nothing around a saved definition, and nothing in it, is of a cloud flow.

    A Logic App's code view names no product. Of 339 public files every cloud flow declares the
    parameter `$authentication`, by which its connections are signed in to, and no Logic App does.
    """
    around = mapping_at(document, *place[:-1]) if place else {}
    if "type" in document or not around.keys().isdisjoint({"connectionReferences", "displayName"}):
        return False
    definition = mapping_at(document, *place)
    return "$schema" in definition and "$authentication" not in mapping_at(definition, "parameters")


def _child_call(step: ActionNode) -> ChildFlowCall | None:
    host = mapping_at(step.raw, "inputs", "host")
    reference = text_at(host, CHILD_REFERENCE)
    named = text_at(mapping_at(host, "workflow"), "id")
    raw_reference = reference or named
    if raw_reference is None:
        return None
    return ChildFlowCall(
        action=step.name,
        path=step.path,
        workflow_id=raw_reference.strip("{}").lower(),
        raw_reference=raw_reference,
        by_reference=reference is not None,
    )


def _http_action(step: ActionNode) -> HttpAction:
    inputs = mapping_at(step.raw, "inputs")
    request = inputs if step.type == "Http" else mapping_at(inputs, "subscribe")
    uri = text_at(request, "uri") or ""
    return HttpAction(
        action=step.name,
        path=step.path,
        method=(text_at(request, "method") or "").upper(),
        uri=uri,
        host=_literal_host(uri),
    )


def _literal_host(uri: str) -> str | None:
    """Return the host where it is written out: `https://x.y/@{…}` has one, `@{…}/x` has none."""
    if not uri.lower().startswith(("https://", "http://")):
        return None
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return None
    return None if host is None or "@" in uri.split("/")[2] or "{" in host else host
