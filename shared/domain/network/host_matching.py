"""Find the flows that a firewall affects: they call a host that it protects or may protect.

docs/network.md describes the rules.
"""

from collections.abc import Collection, Iterable

from shared.domain.clouds import CLOUDS
from shared.domain.network.firewall import Firewall

#: Hosts of Microsoft's services, whose firewalls the customer cannot change. Hosts that a
#: customer's machine can have (`cloudapp.azure.com`, `azure-api.net`) are not in the list.
MICROSOFT_HOSTS = frozenset(
    {
        "dev.azure.com",
        "microsoft.com",
        "microsoftonline.com",
        "office.com",
        "office365.com",
        "outlook.com",
        "powerapps.com",
        "powerautomate.com",
        "powerplatform.com",
        "sharepoint.com",
        "windows.net",
    }
).union(*(cloud.domains for cloud in CLOUDS.values()))


class ClaimedHosts:
    """The hosts that known firewalls protect, for fast look-ups."""

    def __init__(self, firewalls: Iterable[Firewall]) -> None:
        """Collect the host names of the firewalls.

        `*.contoso.example` covers all its subdomains.
        """
        names = {name for firewall in firewalls for name in firewall.hosts}
        self._endings = {name[1:] for name in names if name.startswith("*.")}
        self._exact_names = names

    def __contains__(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        if name in self._exact_names:
            return True
        dots = (place for place, letter in enumerate(name) if letter == ".")
        return any(name[dot:] in self._endings for dot in dots)

    def list_unchecked_hosts(self, hosts: Iterable[str | None]) -> tuple[str, ...]:
        """Return which of these hosts are not Microsoft's and have no known firewall."""
        return tuple(
            host for host in hosts if host and not is_microsoft_host(host) and host not in self
        )


class HostMatcher:
    """Finds the firewalls through which the calls by one flow pass."""

    def __init__(self, hosts: Collection[str | None], claimed: ClaimedHosts) -> None:
        """`hosts` are those that the flow calls.

        None or "" is an expression, which may be any host.
        """
        self._hosts = [host for host in hosts if host]
        self._may_be_any = len(self._hosts) < len(hosts)
        self._has_unclaimed = bool(claimed.list_unchecked_hosts(hosts))
        # One of Microsoft's hosts can deny a flow only if a known firewall protects it.
        self.may_be_refused = any(
            not is_microsoft_host(host) or (host and host in claimed) for host in hosts
        )

    def may_pass_through(self, firewall: Firewall, *, is_for_flows: bool) -> bool:
        """Return whether a firewall protects, or may protect, a host that the flow calls.

        A firewall with known hosts affects the flows that call them. A firewall that was configured
        for flow traffic (`is_for_flows`) also affects flows whose host is an expression. If its own
        hosts are unknown, it also affects flows with a host that no known firewall protects.
        """
        if any(protects_host(firewall, host) for host in self._hosts):
            return True
        return is_for_flows and (self._may_be_any or (self._has_unclaimed and not firewall.hosts))


def is_microsoft_host(host: str | None) -> bool:
    """Return whether a host belongs to one of Microsoft's services. False for an expression."""
    labels = (host or "").lower().rstrip(".").split(".")
    return any(".".join(labels[first:]) in MICROSOFT_HOSTS for first in range(len(labels)))


def protects_host(firewall: Firewall, host: str) -> bool:
    """Return whether a host is among those that the firewall is known to protect."""
    return host in ClaimedHosts([firewall])
