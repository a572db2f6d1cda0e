"""Models of the flow service's responses about flows and runs."""

import json
import re
from datetime import UTC, datetime

from pydantic import Field

from shared.adapters.http.wire import Wire
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.flow import (
    FAILED,
    FailedAction,
    FlowListEntry,
    FlowRun,
    FlowServiceFlow,
    FlowState,
)
from shared.domain.trigger_urls.trigger_url import redact

_STATES = {
    "Started": FlowState.ON,
    "Stopped": FlowState.OFF,
    "Suspended": FlowState.SUSPENDED,
}
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_WORKFLOW = re.compile(r"/workflows/([0-9a-f]{32})/", re.IGNORECASE)
#: Not validated one by one, because that would limit nested actions to 250 levels.
type _Object = dict[str, object]


class _Creator(Wire):
    object_id: str = ""


class _Summary(Wire):
    #: The only known place of a flow's description.
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
    """A flow, with or without details (platform.md#flow-lists, #flow-read)."""

    name: str
    properties: _FlowProperties

    def to_list_entry(self) -> FlowListEntry:
        """Return the flow as an entry of a flow list."""
        return FlowListEntry(
            flow_name=self.name,
            display_name=redact(self.properties.display_name),
            workflow_id=_lower_text(self.properties.workflow_entity_id),
            state=_STATES.get(self.properties.state or ""),
        )

    def to_detail(self) -> FlowServiceFlow:
        """Return the flow with its definition, if the response contains one."""
        properties = self.properties
        definition = properties.definition
        return FlowServiceFlow(
            flow_name=self.name,
            display_name=redact(properties.display_name),
            workflow_id=_lower_text(properties.workflow_entity_id),
            state=_STATES.get(properties.state or "", FlowState.OFF),
            suspension_reason=properties.flow_suspension_reason or "",
            client_data=None if definition is None else self._build_client_data(definition),
            owner_id=properties.creator.object_id,
            is_managed=properties.is_managed,
            # Only solution flows have the id of their Dataverse row (platform.md#solution-flow-id).
            in_solution=properties.workflow_entity_id is not None
            or properties.parent_solution_id is not None,
            description=properties.definition_summary.description or "",
        )

    def _build_client_data(self, definition: _Object) -> str:
        references = self.properties.connection_references or {}
        converted = {key: _convert_reference(value) for key, value in references.items()}
        return json.dumps(
            {
                "properties": {"connectionReferences": converted, "definition": definition},
                "schemaVersion": "1.0.0.0",
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


def _convert_reference(reference: _Object) -> dict[str, object]:
    """Convert a connection reference of the flow service to the shape of `clientdata`.

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
    #: A signed URL: a secret.
    uri: str = Field("", repr=False)
    #: Bytes; not validated, because it decides about no run but its own.
    content_size: object = None


class _Trigger(Wire):
    inputs_link: _Link | None = None
    outputs_link: _Link | None = None


class _RunProperties(Wire):
    start_time: datetime
    end_time: datetime | None = None
    status: str = ""
    #: Not validated, because they decide about no run but their own.
    code: object = None
    error: object = None
    trigger: _Trigger = _Trigger()

    def find_error_code(self) -> str:
        """Return the code of a failed run, without the message, which may quote inputs."""
        if self.status.lower() not in FAILED:
            return ""
        code = text_at(as_mapping(self.error), "code") or str(self.code or "")
        return code if _ERROR_CODE.fullmatch(code) else ""


class RunEntity(Wire):
    """A run (platform.md#flow-runs)."""

    name: str
    properties: _RunProperties

    def to_domain(self) -> FlowRun:
        """Return the run as a domain object, without its content links, which are secrets."""
        properties = self.properties
        links = (properties.trigger.inputs_link, properties.trigger.outputs_link)
        found = (_WORKFLOW.search(link.uri) for link in links if link)
        hexes = [match[1].lower() for match in found if match]
        return FlowRun(
            run_id=self.name,
            started_at=_convert_to_utc(properties.start_time),
            ended_at=_convert_to_utc(properties.end_time) if properties.end_time else None,
            status=properties.status,
            trigger_url_id=hexes[0] if hexes else None,
            error_code=properties.find_error_code(),
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
    """A run with the results of its actions (platform.md#flow-runs)."""

    properties: _ActionsOfRun

    def list_failed_actions(self) -> list[FailedAction]:
        """Return the failed actions, without their inputs and outputs, which are secrets."""
        return [
            FailedAction(
                name=name,
                code=(action.error and action.error.code) or action.code or "",
                message=redact((action.error and action.error.message) or ""),
            )
            for name, action in (self.properties.actions or {}).items()
            if action.status.lower() in {"failed", "timedout"}
        ]


def _convert_to_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _lower_text(text: str | None) -> str | None:
    return text.lower() if text else None
