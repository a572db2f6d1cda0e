"""Find the firewalls that deny a flow when it sends from the new addresses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.concurrency import read_each
from shared.domain.environment import Environment
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.network.snapshot import NetworkSnapshot, build_network_snapshot
from shared.errors import TransientError
from shared.logs.fields import get_product_log
from shared.ports import FirewallKind, ReadsByHost
from shared.services import Services
from shared.steps.flows.network_snapshot import NETWORK_RESTART_AFTER, NetworkReading

log = get_product_log(__name__)

#: In place of a host that an expression computes at run time.
ANY_HOST = "*"
#: How long an invocation reads firewalls that it does not need, for later ones.
_REST_TAKES = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """The firewalls of the watched subscriptions, and Microsoft's new addresses in a geography."""

    check: NetworkCheck

    def find_issues(self, hosts: Sequence[str]) -> list[FirewallIssue]:
        """Return the firewall issues of a flow that calls these hosts."""
        return self.check.find_issues([None if host == ANY_HOST else host for host in hosts])

    def find_required_issues(self) -> list[FirewallIssue]:
        """Return every issue with a required service tag, whatever flows it affects."""
        return self.check.find_required_issues()

    def may_pass_through(self, firewall_id: str, hosts: Sequence[str]) -> bool:
        """Return whether a flow that calls these hosts passes, or may pass, through a firewall."""
        called = [None if host == ANY_HOST else host for host in hosts]
        return self.check.may_pass_through(firewall_id, called)

    def find_external_host_issues(
        self, flows_by_host: Mapping[str, Sequence[str]]
    ) -> list[FirewallIssue]:
        """Return an issue for each host whose owner has to be asked.

        The issue names the flows that call the host.
        """
        return self.check.find_external_host_issues(
            {host: flows for host, flows in flows_by_host.items() if host != ANY_HOST}
        )


async def read_all_firewalls(
    services: Services, *, standstill: timedelta = NETWORK_RESTART_AFTER
) -> tuple[list[Firewall], ServiceTagList]:
    """Return every firewall of every kind, and the service tags. Store both for the verification of
    copies.

    An interrupted reading is continued if it made progress within `standstill`. Raises
    `ThrottledError` if no request is allowed; what was read is stored for the next reader.
    """
    reading = NetworkReading(services, standstill)
    async with reading.use_stored_answers():
        firewalls = await read_firewalls(services)
        tags = await services.service_tags.get_list()
        await reading.store_snapshot(build_network_snapshot(firewalls, tags))
    return firewalls, tags


async def read_firewalls(services: Services) -> list[Firewall]:
    """Return every firewall of every kind. If a read fails, the others are cancelled."""
    found = await read_each(services.firewalls.values(), lambda kind: kind.read())
    return [firewall for kind in found for firewall in kind]


async def read_network(
    services: Services, environment: Environment, hosts: Collection[str]
) -> NetworkView:
    """Read the firewalls that may affect calls to these hosts.

    Tries to read and store all other firewalls too, for later checks. Raises `ThrottledError` if no
    request is allowed; what was read is stored for the next reader.
    """
    return await _read_network(NetworkReading(services), environment, hosts)


async def find_blocking_issues(
    services: Services, environment: Environment, hosts: Sequence[str], ignored: Collection[str]
) -> list[FirewallIssue]:
    """Return the issues, except ignored ones, that block a flow which calls these hosts.

    Stored firewalls suffice if they show no such issue. Otherwise the firewalls are read again,
    because one may have been changed since. Without hosts there is no issue.
    """
    if not hosts:
        return []

    def select_issues(network: NetworkView) -> list[FirewallIssue]:
        return [
            gap for gap in network.find_issues(hosts) if gap.is_required and gap.name not in ignored
        ]

    reading = NetworkReading(services)
    kept = await reading.read_cached()
    if kept and not select_issues(_get_cached_view(services, environment, kept)):
        return []
    return select_issues(await _read_network(reading, environment, hosts))


async def _read_network(
    reading: NetworkReading, environment: Environment, hosts: Collection[str]
) -> NetworkView:
    services = reading.services

    async def read_firewalls_for_hosts(kind: FirewallKind) -> list[Firewall]:
        if isinstance(kind, ReadsByHost) and ANY_HOST not in hosts:
            return await kind.read_for_hosts(hosts)
        return await kind.read()

    async with reading.use_stored_answers():
        found = await read_each(services.firewalls.values(), read_firewalls_for_hosts)
        tags = await services.service_tags.get_list()
        try:
            with reading.stop_requests_after(services.now + _REST_TAKES):
                found = await _read_remaining_firewalls(services, found, hosts)
        except TransientError as err:
            log.info("remaining firewalls not read: %s", err)
        else:
            everything = [firewall for kind in found for firewall in kind]
            await reading.store_snapshot(build_network_snapshot(everything, tags))
    firewalls = [firewall for kind in found for firewall in kind]
    return build_network_view(services, environment, firewalls, tags)


async def _read_remaining_firewalls(
    services: Services, found: list[list[Firewall]], hosts: Collection[str]
) -> list[list[Firewall]]:
    return [
        await kind.read() if isinstance(kind, ReadsByHost) and ANY_HOST not in hosts else firewalls
        for kind, firewalls in zip(services.firewalls.values(), found, strict=True)
    ]


def _get_cached_view(
    services: Services, environment: Environment, kept: NetworkSnapshot
) -> NetworkView:
    def build_view(kept: NetworkSnapshot) -> NetworkView:
        return build_network_view(services, environment, kept.firewalls, kept.service_tags)

    return services.memory.get_or_make(
        ("network", environment.geography), kept, build_view, NetworkView
    )


def build_network_view(
    services: Services,
    environment: Environment,
    firewalls: Sequence[Firewall],
    tags: ServiceTagList,
) -> NetworkView:
    """Return the firewalls with the new addresses of the environment's geography."""
    required = services.settings.additional_required_tags
    return NetworkView(check=NetworkCheck(firewalls, environment.geography, tags, required))
