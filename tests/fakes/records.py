"""Define the records of what changed in a tenant of fakes."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.flow import FlowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One change that was made through a port."""

    at: datetime
    #: None: outside Power Platform.
    environment_id: str | None
    #: Such as `update workflow`.
    what: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The change of a flow's state: it was turned on or off."""

    at: datetime
    workflow_id: str
    state: FlowState
    #: Start of its last run before; None: it never ran.
    last_run: datetime | None
