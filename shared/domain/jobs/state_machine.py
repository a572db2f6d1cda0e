"""Define what every table of states has, and check transitions against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NextActor(StrEnum):
    """Who acts next."""

    APP = "app"
    PERSON = "person"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateProperties:
    """The properties of a state. None has a default, so a missing one is a type error."""

    acts: NextActor
    #: The job continues where it was, once the reason is gone.
    is_pause: bool
    #: The job's goal is reached.
    is_goal: bool

    @property
    def is_stuck(self) -> bool:
        """Return whether it continues only after a person has acted and retried."""
        return self.is_pause and self.acts is NextActor.PERSON

    @property
    def is_finished(self) -> bool:
        """Return whether it does not continue without a person."""
        return self.is_stuck or self.acts is NextActor.NONE

    @property
    def is_open(self) -> bool:
        """Return whether it continues towards its goal without a person."""
        return not (self.is_finished or self.is_goal)

    @property
    def is_undone(self) -> bool:
        """Return whether it ended without reaching its goal: cancelled, or rolled back."""
        return self.acts is NextActor.NONE and not self.is_goal


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionProperties[S: StrEnum](StateProperties):
    """The properties of a state that has transitions."""

    #: The next states; from an open state, a pause is possible as well.
    next: frozenset[S]

    def leads_to(self, after: S) -> bool:
        """Return whether the job may move to `after`."""
        return after in self.next


class InvalidTransition(Exception):
    """A job was to make a transition that its table does not contain: an internal error."""

    def __init__(self, before: StrEnum, after: StrEnum) -> None:
        """Name both states."""
        super().__init__(f"{type(before).__name__}: {before} -> {after}")


def check_transition[S: StrEnum](
    table: Mapping[S, TransitionProperties[S]], before: S, after: S
) -> None:
    """Raise `InvalidTransition` unless a job that reached `before` may be in `after` next."""
    facts = table[before]
    pauses = table[after].is_pause and facts.is_open
    if not (after is before or pauses or facts.leads_to(after)):
        raise InvalidTransition(before, after)
