"""Define the network snapshot: the firewalls and service tags from which firewall issues are
computed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from shared.domain.network.firewall import Firewall, FirewallRule
from shared.domain.network.network_check import FLOW_TAGS
from shared.domain.network.service_tags import ServiceTag, ServiceTagList

#: The fields of a stored snapshot; one with other fields is not read.
SHAPE = " ".join(
    f"{kind.__name__}.{one.name}"
    for kind in (Firewall, FirewallRule, ServiceTag)
    for one in fields(kind)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSnapshot:
    """The firewalls of the watched subscriptions, and the service tags that their rules need."""

    firewalls: tuple[Firewall, ...]
    tags: tuple[ServiceTag, ...]

    @property
    def service_tags(self) -> ServiceTagList:
        return ServiceTagList(self.tags)


def build_network_snapshot(firewalls: Sequence[Firewall], tags: ServiceTagList) -> NetworkSnapshot:
    """Return a snapshot with the firewalls and the service tags that rules or flow traffic use."""
    used_names = {source.strip().lower() for one in firewalls for source in _list_sources(one)}
    flows = {tag.lower() for tag in FLOW_TAGS}
    used = (
        tag
        for tag in tags
        if (name := tag.name.lower()) in used_names or name.partition(".")[0] in flows
    )
    return NetworkSnapshot(firewalls=tuple(firewalls), tags=tuple(used))


def _list_sources(firewall: Firewall | None) -> Iterator[str]:
    while firewall is not None:
        for rule in firewall.rules:
            yield from rule.sources
        firewall = firewall.behind
