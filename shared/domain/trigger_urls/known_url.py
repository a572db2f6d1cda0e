"""Define the record of which trigger URL id belongs to which flow."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUrl:
    """The row of a flow's trigger URL id, which was read from a run. It contains no signature."""

    environment_id: str
    workflow_id: str
    #: 32 hex digits.
    url_id: str
    #: The environment job whose plan read it.
    found_by: str
