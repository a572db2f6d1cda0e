"""Which hosts flows call, which resource answers there, and whose owner has to be asked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.firewall import Firewall
from shared.domain.network.host_matching import is_of_microsoft, protects_host


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledHost:
    """A host that HTTP actions call."""

    #: None: it is an expression; only a run knows it.
    host: str | None
    #: Names of the flows that call it.
    flows: tuple[str, ...]
    #: What stands before it; empty: it is another's, or nobody reads what is before it.
    firewalls: tuple[Firewall, ...]

    @property
    def is_external(self) -> bool:
        """Say whether its owner has to be asked to let the flows in."""
        return self.host is not None and not self.firewalls


def targets(
    hosts_by_flow: Mapping[str, Collection[str | None]], firewalls: Sequence[Firewall]
) -> list[CalledHost]:
    """Return the hosts in their order, expressions last.

    Hosts of Microsoft's own services are left out, unless a firewall is known to stand before one.
    """
    hosts = {host for called in hosts_by_flow.values() for host in called}
    found = [
        CalledHost(
            host=host,
            flows=tuple(sorted(flow for flow, called in hosts_by_flow.items() if host in called)),
            firewalls=tuple(one for one in firewalls if host and protects_host(one, host)),
        )
        for host in sorted(hosts, key=lambda host: (host is None, host))
    ]
    return [one for one in found if one.firewalls or not is_of_microsoft(one.host)]
