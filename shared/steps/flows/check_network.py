"""Which firewalls would refuse a flow once its calls come from the new outbound addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.environment import Environment
from shared.domain.network.coverage import NetworkGap, gaps
from shared.domain.network.firewall import Firewall
from shared.services import Services

#: Stands for a host that only a run knows: the action's URI is an expression.
ANY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The firewalls of the watched subscriptions and the new addresses, as they were read."""

    geography: str
    firewalls: Sequence[Firewall]
    prefixes: Mapping[str, Sequence[str]]

    def gaps(self, hosts: Sequence[str]) -> list[NetworkGap]:
        """Return the gaps that concern a flow which calls these hosts."""
        called = [None if host == ANY_HOST else host for host in hosts]
        return gaps(self.firewalls, self.geography, called, self.prefixes)


async def read_network(services: Services, environment: Environment) -> Network:
    """Read every firewall once."""
    return Network(
        geography=environment.geography,
        firewalls=[fw for kind in services.firewalls.values() for fw in await kind.read()],
        prefixes=await services.service_tags.prefixes(),
    )


async def network_gaps(
    services: Services, environment: Environment, hosts: Sequence[str]
) -> list[NetworkGap]:
    """Return the gaps that concern a flow which calls these hosts; no host, no call, no gap."""
    return (await read_network(services, environment)).gaps(hosts) if hosts else []
