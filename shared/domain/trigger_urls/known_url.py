"""Index which trigger URL id belongs to which flow, as found by plans."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUrl:
    """The id of a flow's trigger URL, read from a run of the flow; contains no signature."""

    environment_id: str
    workflow_id: str
    #: 32 hex digits.
    url_id: str
    #: The environment job whose plan read it.
    found_by: str
