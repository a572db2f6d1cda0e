"""What one delivery needs of a service whose calls are scarce, and who goes first."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The calls of one delivery, and its place among those that wait."""

    #: Whose they are: the id of a job.
    whose: str
    #: As many as are expected; what was too many is given back, what is missing is waited for.
    calls: int
    #: The smaller goes first. Letters, digits and `-`.
    rank: str
    #: It may use what is kept for undo, swaps and the return of rights.
    is_urgent: bool = False
