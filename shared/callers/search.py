"""What all searches for callers share: what a place holds, and what could not be looked into."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shared.domain.caller import Caller
from shared.domain.trigger_url import find_trigger_urls
from shared.errors import Blocked, Refused

FILLED_IN = "It fills in the signature, or all of the query, itself: change what it takes it from."


def callers_in(text: str, place: Caller) -> Iterator[Caller]:
    """Yield a place once for the trigger URLs that can be replaced, once for the others.

    `place` is the caller without ids; a reason it brings along (`manual`) holds for both.
    """
    matches = find_trigger_urls(text)
    filled_in = {match.url.workflow_id for match in matches if not match.is_replaceable}
    ours = {match.url.workflow_id for match in matches} - filled_in
    for ids, reason in ((ours, place.manual), (filled_in, place.manual or FILLED_IN)):
        if ids:
            yield replace(place, trigger_url_ids=frozenset(ids), manual=reason)


@dataclass(slots=True)
class Refusals:
    """Places that refused to be read. The search goes on, and tells at its end."""

    #: The role that would have let the app in, for the instruction.
    role: str
    places: list[str] = field(default_factory=list)

    def add(self, place: str, refusal: Refused) -> None:
        """Note a place and the platform's reason."""
        self.places.append(f"{place} ({refusal.code})")

    def tell(self) -> None:
        """Raise `Blocked` if there was any refusal: the search is not complete."""
        if self.places:
            raise Blocked(
                f"Not searched, because the platform refused: {', '.join(self.places)}",
                instruction=f"Give the app the role {self.role} there, then search again.",
                code="callers_not_searched",
            )
