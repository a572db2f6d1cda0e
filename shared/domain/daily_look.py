"""How far the daily sweep came with what it looks at in each environment, flow by flow."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Look(StrEnum):
    """What the sweep looks for."""

    RETIRED = "retired"  #: retired originals that are on again
    UNDONE = "undone"  #: copies of cancelled and rolled-back jobs that are on
    #: Retired originals without a row in Dataverse: only the flow service's list tells of them.
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLook:
    """How the last sweep ended with one look at one environment."""

    environment_id: str
    look: Look
    #: Id of the job whose flow comes first the next time; empty: the first of all.
    first: str = ""
    #: Where the flow service's list goes on the next time; empty: at its first page.
    cursor: str = ""
    #: How many flows the last sweep did not look at.
    not_looked_at: int = 0
    #: A `Reason`; empty: every flow was looked at.
    code: str = ""


def in_turn(job_ids: Iterable[str], first: str) -> list[str]:
    """Return the ids in their order from `first` on, then those before it."""
    ordered = sorted(job_ids)
    return [one for one in ordered if one >= first] + [one for one in ordered if one < first]
