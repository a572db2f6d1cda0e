"""Define what an assessment stores of a flow."""

from dataclasses import dataclass

from shared.domain.definitions.flow_summary import DefinitionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """The facts about a flow that an assessment needs."""

    #: In lower case; the flow name if the platform shows no Dataverse row.
    workflow_id: str
    flow_name: str
    display_name: str
    #: The owner's name if known, else the id; empty: not shown.
    owner: str
    is_on: bool
    is_managed: bool
    #: None: unknown.
    in_solution: bool | None
    #: None: the definition could not be read; `problem` says why.
    summary: DefinitionSummary | None
    problem: str = ""
    #: Whether it uses a connection of the user who runs it.
    uses_invokers_connections: bool = False
