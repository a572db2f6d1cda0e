"""Define what every table of states contains, and check transitions against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NextActor(StrEnum):
    """Who acts next on a job in some state."""

    APP = "app"
    PERSON = "person"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateProperties:
    """The properties of a state.

    No property has a default, so that a missing one is a type error.
    """

    next_actor: NextActor
    #: The job continues where it was, once the reason is gone.
    resumes_later: bool
    #: The job's goal is reached.
    is_success: bool

    @property
    def needs_action(self) -> bool:
        """Return whether a job in this state continues only after a person has acted and
        retried.
        """
        return self.resumes_later and self.next_actor is NextActor.PERSON

    @property
    def is_inactive(self) -> bool:
        """Return whether a job in this state is over, or continues only after a person has
        acted.
        """
        return self.needs_action or self.is_over

    @property
    def is_active(self) -> bool:
        """Return whether a job in this state continues towards its goal without a person."""
        return not (self.is_inactive or self.is_success)

    @property
    def is_over(self) -> bool:
        """Return whether neither the app nor a person has to act on a job in this state."""
        return self.next_actor is NextActor.NONE

    @property
    def is_withdrawn(self) -> bool:
        """Return whether a job in this state was cancelled or rolled back."""
        return self.is_over and not self.is_success


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionProperties[S: StrEnum](StateProperties):
    """The properties of a state that has transitions."""

    #: The next states; from an open state, a pause is possible as well.
    next: tuple[S, ...]

    def leads_to(self, after: S) -> bool:
        """Return whether the job may move to `after`."""
        return after in self.next


class InvalidTransition(Exception):
    """A table of states forbids a transition. This is an internal error."""

    def __init__(self, before: StrEnum, after: StrEnum) -> None:
        super().__init__(f"{type(before).__name__}: {before} -> {after}")


def require_transition[S: StrEnum](
    table: Mapping[S, TransitionProperties[S]], before: S, after: S
) -> None:
    """Raise `InvalidTransition` unless a job that reached `before` may be in `after` next."""
    facts = table[before]
    pauses = table[after].resumes_later and facts.is_active
    if not (after is before or pauses or facts.leads_to(after)):
        raise InvalidTransition(before, after)
