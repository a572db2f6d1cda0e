"""Which firewalls would refuse a flow once its calls come from the new outbound addresses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.concurrency import read_each
from shared.domain.environment import Environment
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.snapshot import NetworkSnapshot, build_snapshot
from shared.ports import FirewallKind
from shared.services import Services
from shared.steps.flows.network_snapshot import cache_network, cached_network

#: Stands for a host that only a run knows: the action's URI is an expression.
ANY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """The firewalls of the watched subscriptions and the new addresses, as they were read."""

    check: NetworkCheck

    def gaps(self, hosts: Sequence[str]) -> list[FirewallIssue]:
        """Return what is lacking for a flow which calls these hosts."""
        return self.check.gaps([None if host == ANY_HOST else host for host in hosts])

    def lacking(self) -> list[FirewallIssue]:
        """Return what is required and missing anywhere, whomever it concerns."""
        return self.check.lacking()

    def concerns(self, firewall_id: str, hosts: Sequence[str]) -> bool:
        """Say whether a flow that calls these hosts goes, or may go, through a firewall."""
        called = [None if host == ANY_HOST else host for host in hosts]
        return self.check.concerns(firewall_id, called)

    def external_targets(self, flows_by_host: Mapping[str, Sequence[str]]) -> list[FirewallIssue]:
        """Return hosts whose owners have to be asked, with the flows that call them."""
        return self.check.external_targets(
            {host: flows for host, flows in flows_by_host.items() if host != ANY_HOST}
        )


async def read_firewalls(services: Services) -> list[Firewall]:
    """Return every firewall of every kind; the first that fails to read ends the others."""

    async def read(kind: FirewallKind) -> list[Firewall]:
        return await kind.read()

    found = await read_each(services.firewalls.values(), read)
    return [firewall for kind in found for firewall in kind]


async def read_network(services: Services, environment: Environment) -> NetworkView:
    """Read every firewall once, and keep them for the proofs that follow."""
    began = services.now
    firewalls = await read_firewalls(services)
    tags = await services.service_tags.get_list()
    await cache_network(services, build_snapshot(firewalls, tags), began)
    return network_of(services, environment, firewalls, tags)


async def required_gaps(
    services: Services, environment: Environment, hosts: Sequence[str], waived: Collection[str]
) -> list[FirewallIssue]:
    """Return what keeps out a flow which calls these hosts and that nobody has waived.

    What is kept may show that nothing does. A gap in it may have been opened since: then all is
    read anew, and that decides. No host, no call, no gap.
    """
    if not hosts:
        return []

    def lacking(network: NetworkView) -> list[FirewallIssue]:
        return [gap for gap in network.gaps(hosts) if gap.is_required and gap.name not in waived]

    kept = await cached_network(services)
    if kept and not lacking(_kept_network_of(services, environment, kept)):
        return []
    return lacking(await read_network(services, environment))


def _kept_network_of(
    services: Services, environment: Environment, kept: NetworkSnapshot
) -> NetworkView:
    """Return a kept network as it concerns the flows of one environment; made once for many."""

    def make(kept: NetworkSnapshot) -> NetworkView:
        return network_of(services, environment, kept.firewalls, kept.service_tags)

    return services.memory.made(("network", environment.geography), kept, make, NetworkView)


def network_of(
    services: Services,
    environment: Environment,
    firewalls: Sequence[Firewall],
    tags: ServiceTagList,
) -> NetworkView:
    """Return what was read as it concerns the flows of one environment."""
    required = services.settings.additional_required_tags
    return NetworkView(check=NetworkCheck(firewalls, environment.geography, tags, required))
