"""Evaluate flows in files, and build the JSON output of `cmkflow inspect`."""

from collections.abc import Iterable
from dataclasses import dataclass

from cmkflow.flow_files import FlowFile
from shared.domain.definitions.flow_definition import FlowDefinition
from shared.domain.definitions.flow_documents import FlowInDocument
from shared.domain.definitions.json_values import list_texts
from shared.domain.plans.microsoft_key_rule import MicrosoftKeyEvaluation, evaluate_flows
from shared.domain.trigger_urls.trigger_url import TriggerUrl, find_trigger_urls


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A flow in a file, and whether it stays on Microsoft's key."""

    file: FlowFile
    flow: FlowInDocument
    assessment: MicrosoftKeyEvaluation
    #: trigger URLs of other flows in this flow, without duplicates
    trigger_urls: tuple[TriggerUrl, ...]

    @property
    def definition(self) -> FlowDefinition:
        return self.flow.definition

    def build_json(self) -> dict[str, object]:
        stays = self.assessment.stays_on_microsoft_key
        reasons = [reason.value for reason in self.assessment.microsoft_key_reasons]
        return {
            "path": self.file.path,
            "definition_pointer": self.flow.definition_pointer,
            "workflow_id": self.file.workflow_id,
            "name": self.file.name,
            "triggers": [
                {
                    "name": one.name,
                    "type": one.type,
                    "kind": one.kind,
                    "connector": one.connector,
                    "operation_id": one.operation_id,
                    "category": one.category.value,
                }
                for one in self.definition.triggers
            ],
            "stays_on_microsoft_key": "unknown" if stays is None else stays,
            "reason": reasons[0] if reasons else None,
            "microsoft_key_reasons": reasons,
            "message": self.assessment.message,
            "children": [
                {
                    "action": one.path,
                    "workflowReferenceName": one.raw_reference if one.by_reference else None,
                }
                for one in self.definition.child_calls
            ],
            "http_actions": [
                {"action": one.path, "method": one.method, "host": one.host}
                for one in self.definition.http_actions
            ],
            "trigger_urls": [
                {"trigger_url_id": one.trigger_url_id, "host": one.host, "form": one.form.value}
                for one in self.trigger_urls
            ],
        }


def inspect_flows(files: Iterable[FlowFile]) -> list[Inspection]:
    """Return whether each flow in the files stays on Microsoft's key. The flows are evaluated
    together, because the result of a parent depends on its children.
    """
    flows = {
        _choose_flow_identity(index, file): file for index, file in _pair_numbers_with_files(files)
    }
    found = {key: file.flow for key, file in flows.items() if file.flow}
    assessments = evaluate_flows(
        {key: flow.definition for key, flow in found.items()},
        in_solution={key: file.in_solution for key, file in flows.items()},
    )
    return [
        Inspection(
            file=flows[key],
            flow=flow,
            assessment=assessments[key],
            trigger_urls=_list_trigger_urls(flow),
        )
        for key, flow in found.items()
    ]


def _pair_numbers_with_files(files: Iterable[FlowFile]) -> Iterable[tuple[int, FlowFile]]:
    seen: dict[str, int] = {}
    for file in files:
        number = seen.get(file.workflow_id or "", 0)
        seen[file.workflow_id or ""] = number + 1
        yield number, file


def _choose_flow_identity(number: int, file: FlowFile) -> str:
    if file.workflow_id and number == 0:
        return file.workflow_id
    return f"{file.workflow_id or file.path}#{number}"


def _list_trigger_urls(flow: FlowInDocument) -> tuple[TriggerUrl, ...]:
    matches = (match for text in list_texts(flow.resource) for match in find_trigger_urls(text))
    return tuple(dict.fromkeys(match.url for match in matches))
