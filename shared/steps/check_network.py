"""Which firewalls would refuse a flow once its calls come from the new outbound addresses."""

from collections.abc import Sequence

from shared.domain.environment import Environment
from shared.domain.network_coverage import NetworkGap, gaps
from shared.services import Services

#: Stands for a host that only a run knows: the action's URI is an expression.
ANY_HOST = "*"


async def network_gaps(
    services: Services, environment: Environment, hosts: Sequence[str]
) -> list[NetworkGap]:
    """Return the gaps that concern a flow which calls these hosts; no host, no call, no gap."""
    if not hosts:
        return []
    firewalls = [fw for kind in services.firewalls.values() for fw in await kind.read()]
    prefixes = await services.service_tags.prefixes()
    called = [None if host == ANY_HOST else host for host in hosts]
    return gaps(firewalls, environment.geography, called, prefixes)
