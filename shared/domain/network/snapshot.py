"""The network as it was read at one moment: all that verdicts about flows are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from shared.domain.network.firewall import Firewall, FirewallRule
from shared.domain.network.network_check import FLOW_TAGS
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


def build_snapshot(firewalls: Sequence[Firewall], tags: ServiceTagList) -> NetworkSnapshot:
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
        firewall = firewall.behind
