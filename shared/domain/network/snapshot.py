"""The network as it was read at one moment: all that verdicts about flows are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from shared.domain.network.coverage import FLOW_TAGS
from shared.domain.network.firewall import Firewall, FirewallRule
from shared.domain.network.service_tags import ServiceTag, ServiceTagList

#: What a snapshot is written as: one that has other members is read by nobody.
SHAPE = " ".join(
    f"{kind.__name__}.{one.name}"
    for kind in (Firewall, FirewallRule, ServiceTag)
    for one in fields(kind)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSnapshot:
    """The firewalls of the watched subscriptions, and the service tags that decide about them."""

    firewalls: tuple[Firewall, ...]
    tags: tuple[ServiceTag, ...]

    @property
    def service_tags(self) -> ServiceTagList:
        """Return the tags as a list of them."""
        return ServiceTagList(self.tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReading:
    """Where the last snapshot is kept, and whether somebody reads anew."""

    #: Stands for the subscriptions, the source of the tags, and `SHAPE`.
    id: str
    #: When its reading began; None: there is none yet.
    began: datetime | None = None
    #: Its name in the archive.
    name: str = ""
    #: Until when a delivery that reads anew may be waited for.
    reading_until: datetime | None = None

    def is_since(self, moment: datetime) -> bool:
        """Say whether all of it was read after a moment."""
        return self.began is not None and self.began > moment

    def is_being_read(self, now: datetime) -> bool:
        """Say whether somebody reads anew, and has not died over it as far as anybody knows."""
        return self.reading_until is not None and self.reading_until > now


def snapshot_of(firewalls: Sequence[Firewall], tags: ServiceTagList) -> NetworkSnapshot:
    """Return a snapshot: of three thousand tags those of flows, and those that rules name."""
    named = {source.strip().lower() for one in firewalls for source in _sources(one)}
    flows = {tag.lower() for tag in FLOW_TAGS}
    used = (
        tag
        for tag in tags
        if (name := tag.name.lower()) in named or name.partition(".")[0] in flows
    )
    return NetworkSnapshot(firewalls=tuple(firewalls), tags=tuple(used))


def _sources(firewall: Firewall | None) -> Iterator[str]:
    while firewall is not None:
        for rule in firewall.rules:
            yield from rule.sources
        firewall = firewall.beyond
