"""Parse a flow's definition, such as its triggers, child flows and called hosts.

Several file formats contain the same kind of definition. The rest of the app uses `FlowDefinition`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from shared.domain.definitions.action_nodes import ActionNode, walk_actions
from shared.domain.definitions.connector_operations import (
    get_connector_operation,
    is_list_flows_as_admin_v1,
)
from shared.domain.definitions.event_grid_validation import answers_event_grid_validation
from shared.domain.definitions.json_values import as_mapping, mapping_at, parse_json_value, text_at
from shared.domain.definitions.trigger_kinds import TriggerCategory, classify_trigger
from shared.errors import InvalidInput

#: Member of a child flow action's host with the child's id (platform.md#child-flow-action).
CHILD_REFERENCE = "workflowReferenceName"


class DefinitionFormat(StrEnum):
    """The file format that a definition was found in."""

    #: Dataverse `workflow.clientdata` (platform.md#client-data), and the files in a solution's
    #: Workflows folder.
    CLIENT_DATA = "clientdata"
    #: `definition.json` of an exported package, and a flow as the flow service returns it
    #: (platform.md#flow-read).
    FLOW = "flow"
    #: Logic Apps: a workflow.json, a gallery template, or a resource.
    LOGIC_APP = "logic_app"
    #: A workflow definition with nothing around it.
    DEFINITION_ONLY = "definition_only"


class UnreadableDefinition(InvalidInput):
    """A text contains no flow definition that the app can read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The flow definition cannot be read: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    name: str
    type: str
    kind: str | None
    #: For example `shared_teams`, resolved through the connection references; None without a
    #: connector.
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

    #: The action's name, unique in its definition.
    action: str
    #: The name with the names of its containers.
    path: str
    #: The child's Dataverse workflow id in lower case; in a Logic App the child's name.
    workflow_id: str
    #: The reference exactly as written in the definition.
    raw_reference: str
    #: False for a Logic App, which calls children by name.
    by_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAction:
    """An action that sends an HTTP request from the flow's own outbound network."""

    action: str
    path: str
    method: str
    #: As written: it may be an expression or contain a signature, so never show it unmasked.
    uri: str = field(repr=False)
    #: In lower case; None if an expression computes it.
    host: str | None


@dataclass(frozen=True, kw_only=True)
class FlowDefinition:
    """A parsed flow definition. Its parts are parsed on first use and cached."""

    format: DefinitionFormat
    #: The flow's name, where the format has one.
    name: str | None = None
    definition: dict[str, object] = field(repr=False)
    connection_references: dict[str, object] = field(repr=False)

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        """Return the triggers. A template may have none."""
        raw = mapping_at(self.definition, "triggers")
        return tuple(self._parse_trigger(name, as_mapping(body)) for name, body in raw.items())

    @cached_property
    def child_calls(self) -> tuple[ChildFlowCall, ...]:
        """Return the calls to child flows, in the order of the definition."""
        calls = (_parse_child_call(step) for step in self._steps if step.type == "Workflow")
        return tuple(call for call in calls if call)

    @cached_property
    def http_actions(self) -> tuple[HttpAction, ...]:
        """Return the HTTP actions, in the order of the definition."""
        return tuple(_parse_http_action(step) for step in self._steps if step.type in _HTTP_TYPES)

    @cached_property
    def uses_list_flows_as_admin_v1(self) -> bool:
        """Return whether the flow uses *List flows as Admin (V1)*, which keeps it on Microsoft's
        key.

        See platform.md#flows-that-stay.
        """
        return any(
            is_list_flows_as_admin_v1(step.raw, self.connection_references) for step in self._steps
        )

    @cached_property
    def answers_event_grid(self) -> bool:
        """Return whether the flow answers Event Grid's validation of its trigger URL."""
        return answers_event_grid_validation(self.definition, {step.type for step in self._steps})

    @cached_property
    def environment_variables(self) -> tuple[str, ...]:
        """Return the schema names of the environment variables that the flow reads.

        See platform.md#variable-parameters.
        """
        parameters = mapping_at(self.definition, "parameters").values()
        names = (text_at(mapping_at(as_mapping(p), "metadata"), "schemaName") for p in parameters)
        return tuple(name for name in names if name)

    @property
    def category(self) -> TriggerCategory:
        """Return the category of the first trigger, or `NONE` if there is no trigger."""
        return self.triggers[0].category if self.triggers else TriggerCategory.NONE

    @property
    def trigger_categories(self) -> tuple[TriggerCategory, ...]:
        return tuple(trigger.category for trigger in self.triggers)

    @property
    def is_self_starting(self) -> bool:
        """Return whether any trigger starts the flow without a caller."""
        return any(trigger.category.is_self_starting for trigger in self.triggers)

    @property
    def children(self) -> frozenset[str]:
        """Return the workflow ids of the flow's child flows, in lower case."""
        return frozenset(call.workflow_id for call in self.child_calls if call.by_reference)

    @cached_property
    def _steps(self) -> tuple[ActionNode, ...]:
        return tuple(walk_actions(self.definition))

    def _parse_trigger(self, name: str, raw: Mapping[str, object]) -> Trigger:
        operation = get_connector_operation(raw, self.connection_references)
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
    """Return the flow that a JSON text, or its decoded object, describes.

    Accepts Dataverse `clientdata` (platform.md#client-data), a package's `definition.json`, a flow
    of the flow service or its `properties` (platform.md#flow-read), a Logic Apps `workflow.json`,
    and a bare definition. Raises `UnreadableDefinition` for anything else; the error never quotes
    the text.
    """
    document = _decode_client_data(text) if isinstance(text, str) else text
    place = find_definition_place(document)
    if place is None:
        reason = "the JSON has no workflow definition with triggers and actions"
        raise UnreadableDefinition(reason)
    holder = mapping_at(document, *place[:-1])
    return FlowDefinition(
        format=_detect_format(document, place),
        name=text_at(holder, "displayName") if place else None,
        definition=dict(mapping_at(document, *place)),
        connection_references=dict(mapping_at(holder, "connectionReferences")) if place else {},
    )


def parse_or_explain(
    text: str | Mapping[str, object],
) -> tuple[FlowDefinition | None, str]:
    """Return the flow in a JSON text or object, or else the reason why there is none."""
    try:
        return parse_client_data(text), ""
    except UnreadableDefinition as err:
        return None, err.reason


def find_definition_place(document: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the member names that lead to the definition in a document, or None if it has none."""
    for place in (("properties", "definition"), ("definition",), ()):
        found = mapping_at(document, *place)
        # Every definition that a designer saved has both members.
        if isinstance(found.get("triggers"), Mapping) and isinstance(found.get("actions"), Mapping):
            return place
    return None


def _decode_client_data(text: str) -> Mapping[str, object]:
    try:
        document = parse_json_value(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        # Not as the cause: the original error carries the whole text, including signatures.
        raise UnreadableDefinition(f"the text is not JSON (line {error.lineno})") from None
    except ValueError:
        raise UnreadableDefinition("the JSON has too long a number or nests too deeply") from None
    if not isinstance(document, dict):
        raise UnreadableDefinition("the JSON is not an object")
    return document


def _detect_format(document: Mapping[str, object], place: tuple[str, ...]) -> DefinitionFormat:
    if (text_at(document, "type") or "").lower().startswith("microsoft.logic/"):
        return DefinitionFormat.LOGIC_APP
    if text_at(document, "kind") in {"Stateful", "Stateless", "Agentic"}:
        return DefinitionFormat.LOGIC_APP
    if "schemaVersion" in document:
        return DefinitionFormat.CLIENT_DATA
    if _is_logic_app_code(document, place):
        return DefinitionFormat.LOGIC_APP
    return DefinitionFormat.FLOW if place else DefinitionFormat.DEFINITION_ONLY


def _is_logic_app_code(document: Mapping[str, object], place: tuple[str, ...]) -> bool:
    """Return whether a document is the code of a Logic App: nothing marks it as a cloud flow.

    The code view of a Logic App names no product. Of 339 public files, all cloud flows and no Logic
    Apps declare the parameter `$authentication`.
    """
    around = mapping_at(document, *place[:-1]) if place else {}
    if "type" in document or not around.keys().isdisjoint({"connectionReferences", "displayName"}):
        return False
    definition = mapping_at(document, *place)
    return "$schema" in definition and "$authentication" not in mapping_at(definition, "parameters")


def _parse_child_call(step: ActionNode) -> ChildFlowCall | None:
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


def _parse_http_action(step: ActionNode) -> HttpAction:
    inputs = mapping_at(step.raw, "inputs")
    request = inputs if step.type == "Http" else mapping_at(inputs, "subscribe")
    uri = text_at(request, "uri") or ""
    return HttpAction(
        action=step.name,
        path=step.path,
        method=(text_at(request, "method") or "").upper(),
        uri=uri,
        host=_find_literal_host(uri),
    )


def _find_literal_host(uri: str) -> str | None:
    """Return the host of an HTTP URI, or None if an expression computes it."""
    if not uri.lower().startswith(("https://", "http://")):
        return None
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return None
    return None if host is None or "@" in uri.split("/")[2] or "{" in host else host
