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


class ClaimedHosts:
    """The hosts that some firewall is known to stand before: a look-up, however many there are."""

    def __init__(self, firewalls: Iterable[Firewall]) -> None:
        """Take the names of the firewalls; `*.contoso.example` claims what ends like that."""
        names = {name for firewall in firewalls for name in firewall.hosts}
        self._endings = {name[1:] for name in names if name.startswith("*.")}
        self._names = names

    def __contains__(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        if name in self._names:
            return True
        dots = (place for place, letter in enumerate(name) if letter == ".")
        return any(name[dot:] in self._endings for dot in dots)

    def unchecked(self, hosts: Iterable[str | None]) -> tuple[str, ...]:
        """Return the hosts that are not Microsoft's and that no firewall is known to claim."""
        return tuple(
            host for host in hosts if host and not is_of_microsoft(host) and host not in self
        )


class HostMatcher:
    """The hosts that a flow calls, held against the firewalls that are known to claim some."""

    def __init__(self, hosts: Collection[str | None], claimed: ClaimedHosts) -> None:
        """A host that is None or empty is an expression: it may be any."""
        self._hosts = [host for host in hosts if host]
        self._may_be_any = len(self._hosts) < len(hosts)
        self._has_unclaimed = bool(claimed.unchecked(hosts))
        # One of Microsoft's own hosts refuses a flow only if a firewall claims it.
        self.may_be_refused = any(
            not is_of_microsoft(host) or (host and host in claimed) for host in hosts
        )

    def meet(self, firewall: Firewall, *, is_for_flows: bool) -> bool:
        """Say whether a firewall stands, or may stand, before a host that the flow calls.

        A firewall whose hosts are known concerns the flows that call them. One configured for flow
        traffic also concerns flows whose host is an expression, and if its own hosts are not known,
        flows with a host that no firewall claims.
        """
        if any(protects_host(firewall, host) for host in self._hosts):
            return True
        return is_for_flows and (self._may_be_any or (self._has_unclaimed and not firewall.hosts))


def is_of_microsoft(host: str | None) -> bool:
    """Say whether a host is one of Microsoft's own services; an expression may be any host."""
    name = (host or "").lower().rstrip(".")
    return any(name == own or name.endswith(f".{own}") for own in MICROSOFT_HOSTS)


def protects_host(firewall: Firewall, host: str) -> bool:
    """Say whether a firewall is known to stand before a host."""
    return host in ClaimedHosts([firewall])
