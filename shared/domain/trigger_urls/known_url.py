"""Index of what plans found: which trigger URL id belongs to which flow."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUrl:
    """The id in a flow's trigger URL, as a run showed it; no signature is in it."""

    environment_id: str
    workflow_id: str
    #: 32 hex digits.
    url_id: str
    #: The environment job whose plan looked.
    found_by: str
