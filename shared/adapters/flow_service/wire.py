"""The flow service's answers about flows and runs, and what the product keeps of them."""

import json
import re
from datetime import UTC, datetime

from shared.adapters.http.wire import Wire
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.flow import FailedAction, FlowListEntry, FlowRun, FlowServiceFlow, FlowState
from shared.domain.trigger_urls.trigger_url import redact

_STATES = {
    "Started": FlowState.ON,
    "Stopped": FlowState.OFF,
    "Suspended": FlowState.SUSPENDED,
}
_WORKFLOW = re.compile(r"/workflows/([0-9a-f]{32})/", re.IGNORECASE)
#: Values as they are decoded: checked one by one, actions could nest 250 deep and no more.
type _Object = dict[str, object]


class _Creator(Wire):
    object_id: str = ""


class _Summary(Wire):
    #: Where clients of this service read a flow's description; no other place of it is known.
    description: str | None = None


class _LicenseData(Wire):
    flow_license_name: str | None = None


class _FlowProperties(Wire):
    display_name: str = ""
    state: str | None = None
    flow_suspension_reason: str | None = None
    workflow_entity_id: str | None = None
    parent_solution_id: str | None = None
    creator: _Creator = _Creator()
    is_managed: bool = False
    definition: _Object | None = None
    definition_summary: _Summary = _Summary()
    connection_references: dict[str, _Object] | None = None
    license_data: _LicenseData | None = None


class FlowEntity(Wire):
    """A flow, lean as lists give it or whole (platform.md#flow-lists, #flow-read)."""

    name: str
    properties: _FlowProperties

    def to_report(self) -> FlowListEntry:
        """Return it as a line of a report."""
        return FlowListEntry(
            flow_name=self.name,
            display_name=redact(self.properties.display_name),
            workflow_id=_lower(self.properties.workflow_entity_id),
            state=_STATES.get(self.properties.state or ""),
        )

    def to_detail(self) -> FlowServiceFlow:
        """Return it with its definition, if the answer has one."""
        properties = self.properties
        definition = properties.definition
        return FlowServiceFlow(
            flow_name=self.name,
            display_name=redact(properties.display_name),
            workflow_id=_lower(properties.workflow_entity_id),
            state=_STATES.get(properties.state or "", FlowState.OFF),
            suspension_reason=properties.flow_suspension_reason or "",
            client_data=None if definition is None else self._client_data(definition),
            owner_id=properties.creator.object_id,
            is_managed=properties.is_managed,
            # Only flows in a solution name their Dataverse row (platform.md#solution-flow-id).
            in_solution=properties.workflow_entity_id is not None
            or properties.parent_solution_id is not None,
            description=properties.definition_summary.description or "",
        )

    def _client_data(self, definition: _Object) -> str:
        references = self.properties.connection_references or {}
        converted = {key: _client_reference(value) for key, value in references.items()}
        return json.dumps(
            {
                "properties": {"connectionReferences": converted, "definition": definition},
                "schemaVersion": "1.0.0.0",
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


def _client_reference(reference: _Object) -> dict[str, object]:
    """Turn a connection reference of the flow service into one of `clientdata`.

    See platform.md#flow-read, #client-data.
    """
    connection: dict[str, object] = {}
    if logical_name := text_at(reference, "connectionReferenceLogicalName"):
        connection["connectionReferenceLogicalName"] = logical_name
    if name := text_at(reference, "connectionName"):
        connection["name"] = name
    api = (
        text_at(reference, "id")
        or text_at(mapping_at(reference, "apiDefinition"), "name")
        or f"shared_{text_at(reference, 'apiName') or ''}"
    )
    return {
        "runtimeSource": (text_at(reference, "source") or "embedded").lower(),
        "connection": connection,
        "api": {"name": api.rsplit("/", 1)[-1]},
    }


class _Link(Wire):
    uri: str = ""


class _Trigger(Wire):
    inputs_link: _Link | None = None
    outputs_link: _Link | None = None


class _RunProperties(Wire):
    start_time: datetime
    end_time: datetime | None = None
    status: str = ""
    trigger: _Trigger = _Trigger()


class RunEntity(Wire):
    """A run (platform.md#flow-runs)."""

    name: str
    properties: _RunProperties

    def to_domain(self) -> FlowRun:
        """Return what the product keeps of it; the content links, which are secrets, are not."""
        properties = self.properties
        links = (properties.trigger.inputs_link, properties.trigger.outputs_link)
        found = (_WORKFLOW.search(link.uri) for link in links if link)
        hexes = [match[1].lower() for match in found if match]
        return FlowRun(
            run_id=self.name,
            started_at=_utc(properties.start_time),
            ended_at=_utc(properties.end_time) if properties.end_time else None,
            status=properties.status,
            trigger_url_id=hexes[0] if hexes else None,
        )


class _Error(Wire):
    code: str | None = None
    message: str | None = None


class _Action(Wire):
    status: str = ""
    code: str | None = None
    error: _Error | None = None


class _ActionsOfRun(Wire):
    actions: dict[str, _Action] | None = None


class RunWithActions(Wire):
    """One run with what became of its actions (platform.md#flow-runs)."""

    properties: _ActionsOfRun

    def failed_actions(self) -> list[FailedAction]:
        """Return those that failed; their inputs and outputs, which are secrets, are not read."""
        return [
            FailedAction(
                name=name,
                code=(action.error and action.error.code) or action.code or "",
                message=redact((action.error and action.error.message) or ""),
            )
            for name, action in (self.properties.actions or {}).items()
            if action.status.lower() in {"failed", "timedout"}
        ]


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None
