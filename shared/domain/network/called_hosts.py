"""Find out which hosts flows call, and which firewalls protect them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.firewall import Firewall
from shared.domain.network.host_matching import is_microsoft_host, protects_host


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledHost:
    """A host that flows call, with these flows and the firewalls that protect it."""

    #: None: an expression computes it at run time.
    host: str | None
    #: Names of the flows that call it.
    flows: tuple[str, ...]
    #: The firewalls that protect it; empty: none that the app can read.
    firewalls: tuple[Firewall, ...]

    @property
    def is_external(self) -> bool:
        """Return whether the host is known and no known firewall protects it."""
        return self.host is not None and not self.firewalls


def list_called_hosts(
    hosts_by_flow: Mapping[str, Collection[str | None]], firewalls: Sequence[Firewall]
) -> list[CalledHost]:
    """Return the hosts that flows call, in order. Hosts that expressions compute come last.

    Hosts of Microsoft's services are omitted unless a known firewall protects them.
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
    return [one for one in found if one.firewalls or not is_microsoft_host(one.host)]
