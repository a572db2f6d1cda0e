"""Summarize a flow's definition for a plan, to save memory.

A decoded definition may take a hundred kilobytes, and an environment may have ten thousand flows.
"""

from dataclasses import dataclass

from shared.domain.definitions.comparison import DefinitionText
from shared.domain.definitions.connection_reference import list_embedded_connections
from shared.domain.definitions.flow_definition import (
    DefinitionFormat,
    FlowDefinition,
    parse_or_explain,
)
from shared.domain.definitions.json_values import may_have_unpaired_surrogates
from shared.domain.definitions.trigger_kinds import TriggerCategory


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSummary:
    """The facts of a flow's definition that a plan needs."""

    format: DefinitionFormat
    #: Name of the first trigger; empty: none.
    trigger_name: str
    trigger_categories: tuple[TriggerCategory, ...]
    #: Dataverse ids of its child flows, in lower case.
    children: frozenset[str]
    #: Hosts that its HTTP actions call, sorted; `*` if an expression computes one.
    http_hosts: tuple[str, ...]
    uses_list_flows_as_admin_v1: bool
    #: It answers Event Grid's validation of its trigger URL.
    answers_event_grid: bool = False
    #: Labels of its connections without a connection reference.
    embedded_connections: tuple[str, ...] = ()
    #: Those of them that use custom connectors.
    custom_connections: tuple[str, ...] = ()

    @property
    def category(self) -> TriggerCategory:
        """Return the category of the first trigger, or `NONE` if there is no trigger."""
        return self.trigger_categories[0] if self.trigger_categories else TriggerCategory.NONE


def parse_summary(text: str) -> tuple[DefinitionSummary | None, str, str]:
    """Return the summary of a flow's JSON text, the reason why there is none, and a digest."""
    read = DefinitionText(text)
    plain = None if may_have_unpaired_surrogates(text) else read.document
    definition, problem = parse_or_explain(text if plain is None else plain)
    summary = summarize_definition(definition) if definition else None
    return summary, problem, read.digest()


def summarize_definition(definition: FlowDefinition) -> DefinitionSummary:
    """Return the facts of a parsed definition that a plan needs."""
    embedded = list_embedded_connections(definition.connection_references)
    return DefinitionSummary(
        format=definition.format,
        trigger_name=definition.triggers[0].name if definition.triggers else "",
        trigger_categories=definition.trigger_categories,
        children=definition.children,
        http_hosts=tuple(sorted({action.host or "*" for action in definition.http_actions})),
        uses_list_flows_as_admin_v1=definition.uses_list_flows_as_admin_v1,
        answers_event_grid=definition.answers_event_grid,
        embedded_connections=tuple(one.label for one in embedded),
        custom_connections=tuple(one.label for one in embedded if one.is_custom),
    )
