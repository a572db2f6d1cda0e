"""One cloud flow, as far as an assessment asks."""

from dataclasses import dataclass

from shared.domain.definitions.flow_summary import DefinitionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """One cloud flow, as far as an assessment asks."""

    #: Lower case; the flow name where the platform names no Dataverse row.
    workflow_id: str
    flow_name: str
    display_name: str
    #: A person's name where it is known, else their id; empty: not shown.
    owner: str
    is_on: bool
    is_managed: bool
    #: None: nobody told.
    in_solution: bool | None
    #: None: the definition cannot be read; `problem` says why.
    summary: DefinitionSummary | None
    problem: str = ""
    #: Whether a connection is taken from whoever runs the flow.
    uses_invokers_connections: bool = False
