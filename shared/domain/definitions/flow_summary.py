"""What a plan needs to know of a flow, without its definition.

A definition takes a hundred kilobytes decoded; an environment may hold ten thousand of them.
"""

from dataclasses import dataclass

from shared.domain.definitions.comparison import DefinitionText
from shared.domain.definitions.connection_reference import embedded_connections
from shared.domain.definitions.flow_definition import (
    DefinitionFormat,
    FlowDefinition,
    parsed_or_problem,
)
from shared.domain.definitions.json_values import has_halves
from shared.domain.definitions.trigger_kinds import TriggerCategory


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSummary:
    """A flow's definition in a few words."""

    format: DefinitionFormat
    #: of the first trigger; empty: there is none
    trigger_name: str
    trigger_categories: tuple[TriggerCategory, ...]
    #: Dataverse ids of the flows it runs, in lower case
    children: frozenset[str]
    #: hosts that its HTTP actions call, sorted; `*` where an expression decides
    http_hosts: tuple[str, ...]
    uses_list_flows_as_admin_v1: bool
    #: labels of the connections that it names without a connection reference
    embedded_connections: tuple[str, ...] = ()
    #: those of them that are of custom connectors
    custom_connections: tuple[str, ...] = ()

    @property
    def category(self) -> TriggerCategory:
        """The category of the first trigger."""
        return self.trigger_categories[0] if self.trigger_categories else TriggerCategory.NONE


def read_summary(text: str) -> tuple[DefinitionSummary | None, str, str]:
    """Return the summary of a flow's JSON text, why it has none, and the text's digest.

    The text is decoded once, unless it is one that nobody saved by a designer.
    """
    read = DefinitionText(text)
    plain = None if has_halves(text) else read.document
    definition, problem = parsed_or_problem(text if plain is None else plain)
    summary = summarise(definition) if definition else None
    return summary, problem, read.digest()


def summarise(definition: FlowDefinition) -> DefinitionSummary:
    """Return what a plan needs of a definition."""
    embedded = embedded_connections(definition.connection_references)
    return DefinitionSummary(
        format=definition.format,
        trigger_name=definition.triggers[0].name if definition.triggers else "",
        trigger_categories=definition.trigger_categories,
        children=definition.children,
        http_hosts=tuple(sorted({action.host or "*" for action in definition.http_actions})),
        uses_list_flows_as_admin_v1=definition.uses_list_flows_as_admin_v1,
        embedded_connections=tuple(one.label for one in embedded),
        custom_connections=tuple(one.label for one in embedded if one.is_custom),
    )
