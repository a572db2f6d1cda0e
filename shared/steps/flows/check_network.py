"""Which firewalls would refuse a flow once its calls come from the new outbound addresses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.concurrency import read_each
from shared.domain.environment import Environment
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.snapshot import NetworkSnapshot, build_snapshot
from shared.errors import TransientError
from shared.log_fields import product_log
from shared.ports import FirewallKind, ReadsByHost
from shared.services import Services
from shared.steps.flows.network_snapshot import STANDSTILL, NetworkReading

log = product_log(__name__)

#: Stands for a host that only a run knows: the action's URI is an expression.
ANY_HOST = "*"
#: For how long an invocation reads firewalls that do not concern it, for those that follow.
_REST_TAKES = timedelta(seconds=20)


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


async def read_all_firewalls(
    services: Services, *, standstill: timedelta = STANDSTILL
) -> tuple[list[Firewall], ServiceTagList]:
    """Return every firewall of every kind, and the service tags, and keep both for the proofs.

    `standstill`: for how long a reading may have stood still that is continued.
    Raises `ThrottledError` when no request is left; what was read is kept for whoever reads next.
    """
    reading = NetworkReading(services, standstill)
    async with reading.open():
        firewalls = await read_firewalls(services)
        tags = await services.service_tags.get_list()
        await reading.store(build_snapshot(firewalls, tags))
    return firewalls, tags


async def read_firewalls(services: Services) -> list[Firewall]:
    """Return every firewall of every kind; the first that fails to read ends the others."""
    found = await read_each(services.firewalls.values(), _read_kind)
    return [firewall for kind in found for firewall in kind]


async def _read_kind(kind: FirewallKind) -> list[Firewall]:
    return await kind.read()


async def read_network(
    services: Services, environment: Environment, hosts: Collection[str]
) -> NetworkView:
    """Return the network as it concerns flows that call these hosts; keep it for other proofs.

    Raises `ThrottledError` when no request is left; what was read is kept for whoever reads next.
    """
    return await _read_network(NetworkReading(services), environment, hosts)


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

    reading = NetworkReading(services)
    kept = await reading.cached()
    if kept and not lacking(_kept_network_of(services, environment, kept)):
        return []
    return lacking(await _read_network(reading, environment, hosts))


async def _read_network(
    reading: NetworkReading, environment: Environment, hosts: Collection[str]
) -> NetworkView:
    """Read what concerns these hosts; then the rest, which nobody has to wait for."""
    services = reading.services

    async def read(kind: FirewallKind) -> list[Firewall]:
        if isinstance(kind, ReadsByHost) and ANY_HOST not in hosts:
            return await kind.read_before(hosts)
        return await kind.read()

    async with reading.open():
        found = await read_each(services.firewalls.values(), read)
        tags = await services.service_tags.get_list()
        try:
            with reading.until(services.now + _REST_TAKES):
                found = await _with_rest(services, found, hosts)
        except TransientError as err:
            log.info("the other firewalls are read later: %s", err)
        else:
            everything = [firewall for kind in found for firewall in kind]
            await reading.store(build_snapshot(everything, tags))
    firewalls = [firewall for kind in found for firewall in kind]
    return network_of(services, environment, firewalls, tags)


async def _with_rest(
    services: Services, found: list[list[Firewall]], hosts: Collection[str]
) -> list[list[Firewall]]:
    """Return the firewalls of each kind; of those that were read by host, all of them."""
    return [
        await kind.read() if isinstance(kind, ReadsByHost) and ANY_HOST not in hosts else firewalls
        for kind, firewalls in zip(services.firewalls.values(), found, strict=True)
    ]


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
