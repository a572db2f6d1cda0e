"""Which firewalls would refuse a flow once its calls come from the new outbound addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.environment import Environment
from shared.domain.network.coverage import NetworkCheck
from shared.domain.network.firewall import Firewall
from shared.domain.network.gap import NetworkGap
from shared.services import Services

#: Stands for a host that only a run knows: the action's URI is an expression.
ANY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The firewalls of the watched subscriptions and the new addresses, as they were read."""

    check: NetworkCheck

    def gaps(self, hosts: Sequence[str]) -> list[NetworkGap]:
        """Return what is lacking for a flow which calls these hosts."""
        return self.check.gaps([None if host == ANY_HOST else host for host in hosts])

    def external_targets(self, flows_by_host: Mapping[str, Sequence[str]]) -> list[NetworkGap]:
        """Return hosts whose owners have to be asked, with the flows that call them."""
        return self.check.external_targets(
            {host: flows for host, flows in flows_by_host.items() if host != ANY_HOST}
        )


async def read_firewalls(services: Services) -> list[Firewall]:
    """Return every firewall of every kind."""
    return [firewall for kind in services.firewalls.values() for firewall in await kind.read()]


async def read_network(services: Services, environment: Environment) -> Network:
    """Read every firewall once."""
    return Network(
        check=NetworkCheck(
            await read_firewalls(services),
            environment.geography,
            await services.service_tags.published(),
            services.settings.also_required_tags,
        )
    )


async def network_gaps(
    services: Services, environment: Environment, hosts: Sequence[str]
) -> list[NetworkGap]:
    """Return what is lacking for a flow which calls these hosts; no host, no call, no gap."""
    return (await read_network(services, environment)).gaps(hosts) if hosts else []
