"""What every table of states answers, and that no row goes where its table does not let it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NextActor(StrEnum):
    """Who acts next."""

    APP = "app"
    PERSON = "person"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateProperties:
    """What is true in a state. No answer has a default: a forgotten one is a type error."""

    acts: NextActor
    #: Work that goes on where it was, once what it waits for has come.
    is_pause: bool
    #: What the work was begun for is done.
    is_goal: bool

    @property
    def is_stuck(self) -> bool:
        """Say whether it goes on by an order only, once a person has done something."""
        return self.is_pause and self.acts is NextActor.PERSON

    @property
    def is_finished(self) -> bool:
        """Say whether nothing more happens by itself."""
        return self.is_stuck or self.acts is NextActor.NOBODY

    @property
    def is_open(self) -> bool:
        """Say whether the work goes on by itself to what it was begun for."""
        return not (self.is_finished or self.is_goal)

    @property
    def is_undone(self) -> bool:
        """Say whether it ended without what it was begun for: cancelled, or rolled back."""
        return self.acts is NextActor.NOBODY and not self.is_goal


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionProperties[S: StrEnum](StateProperties):
    """What is true in a state of something that goes from state to state."""

    #: Where the work goes on to; while it is open, a pause may follow as well.
    next: frozenset[S]

    def leads_to(self, after: S) -> bool:
        """Say whether the work may go on to `after`."""
        return after in self.next


class InvalidTransition(Exception):
    """A row was to go where its table of states does not let it: a defect of ours."""

    def __init__(self, before: StrEnum, after: StrEnum) -> None:
        """Name both states."""
        super().__init__(f"{type(before).__name__}: {before} -> {after}")


def check_transition[S: StrEnum](
    table: Mapping[S, TransitionProperties[S]], before: S, after: S
) -> None:
    """Raise `InvalidTransition` unless work that got to `before` may be in `after` next."""
    facts = table[before]
    pauses = table[after].is_pause and facts.is_open
    if not (after is before or pauses or facts.leads_to(after)):
        raise InvalidTransition(before, after)
