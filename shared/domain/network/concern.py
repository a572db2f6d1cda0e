"""Whom a firewall concerns: the flows that call a host which it stands, or may stand, before.

docs/network.md says it in words.
"""

from collections.abc import Collection, Iterable

from shared.domain.network.firewall import Firewall

#: Hosts of Microsoft's own services, whose firewalls are not the customer's to open. Hosts that a
#: customer's machine can have (`cloudapp.azure.com`, `azure-api.net`) are not among them.
MICROSOFT_HOSTS = (
    "azurewebsites.net",
    "dev.azure.com",
    "dynamics.com",
    "login.microsoftonline.com",
    "logic.azure.com",
    "logic.azure.us",
    "management.azure.com",
    "microsoft.com",
    "microsoftonline.com",
    "office.com",
    "office365.com",
    "outlook.com",
    "powerapps.com",
    "powerautomate.com",
    "powerplatform.com",
    "sharepoint.com",
    "vault.azure.net",
    "windows.net",
)


class Calls:
    """The hosts that a flow calls, held against the firewalls that are known to claim some."""

    def __init__(self, hosts: Collection[str | None], claimed: Collection[Firewall]) -> None:
        """A host that is None or empty is an expression: it may be any."""
        self._hosts = [host for host in hosts if host]
        self._may_be_any = len(self._hosts) < len(hosts)
        self._has_unclaimed = bool(unchecked_hosts(claimed, hosts))
        self.may_be_refused = any(_may_be_refused(host, claimed) for host in hosts)

    def meet(self, firewall: Firewall, *, is_for_flows: bool) -> bool:
        """Say whether a firewall stands, or may stand, before a host that the flow calls.

        A firewall whose hosts are known concerns the flows that call them. One configured for flow
        traffic also concerns flows whose host is an expression, and if its own hosts are not known,
        flows with a host that no firewall claims.
        """
        if any(stands_before(firewall, host) for host in self._hosts):
            return True
        return is_for_flows and (self._may_be_any or (self._has_unclaimed and not firewall.hosts))


def unchecked_hosts(
    firewalls: Iterable[Firewall], hosts: Collection[str | None]
) -> tuple[str, ...]:
    """Return the hosts that are not Microsoft's and that no firewall is known to stand before."""
    known = list(firewalls)
    return tuple(
        host
        for host in hosts
        if host
        and not is_of_microsoft(host)
        and not any(stands_before(firewall, host) for firewall in known)
    )


def _may_be_refused(host: str | None, firewalls: Iterable[Firewall]) -> bool:
    """Say whether a host may refuse a flow; one of Microsoft's own does if a firewall claims it."""
    if not is_of_microsoft(host):
        return True
    return bool(host) and any(stands_before(firewall, str(host)) for firewall in firewalls)


def is_of_microsoft(host: str | None) -> bool:
    """Say whether a host is one of Microsoft's own services; an expression may be any host."""
    name = (host or "").lower().rstrip(".")
    return any(name == own or name.endswith(f".{own}") for own in MICROSOFT_HOSTS)


def stands_before(firewall: Firewall, host: str) -> bool:
    """Say whether a firewall is known to stand before a host."""
    name = host.lower().rstrip(".")
    return any(
        name == own or (own.startswith("*.") and name.endswith(own[1:])) for own in firewall.hosts
    )
