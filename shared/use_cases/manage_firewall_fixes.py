"""Show what closes the gaps of firewalls, make that change, and take it back: by order of a person.

An order names one resource, which is the opt-in for it. What a plan repairs by itself is decided
for each environment and each resource (`writable_firewalls`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from shared.alerts import readable, tell
from shared.domain.environment import Environment
from shared.domain.network.address_ranges import AddressRanges, union
from shared.domain.network.firewall_fix import FirewallFix, no_fix
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.issue_lookup import describe_unknown_issue, find_issues_by_name
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.calling_flows import calling_flows
from shared.steps.flows.check_network import (
    ANY_HOST,
    NetworkView,
    network_of,
    read_all_firewalls,
)
from shared.steps.flows.firewall_fixes import (
    FixAuthorization,
    complete_if_visible,
    propose_fix,
)
from shared.steps.flows.firewall_fixes import (
    apply_fix as apply,
)
from shared.steps.flows.firewall_fixes import (
    revert_fix as revert,
)
from shared.steps.write_permission import check_write_allowed

#: Somebody who waits for an answer has it by then.
_UNFINISHED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixView:
    """A gap, and what closes it."""

    gap: FirewallIssue
    fix: FirewallFix
    environment_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixInput:
    """What somebody wants changed."""

    #: A gap's name, an Azure resource id, or the name of a resource.
    resource: str
    by: str
    #: Only for the flows of this one; None: of each environment under a policy.
    environment_id: str | None = None
    #: Take it back although flows call through it.
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _OrderHolder:
    """Holds a resource for an order: nothing but time takes it away."""

    services: Services
    holder: str

    async def check_lease(self) -> None:
        """Return: an order has no lease of its own."""


async def propose_fixes(
    services: Services, resource: str | None = None, environment_id: str | None = None
) -> list[FirewallFixView]:
    """Return what closes each gap that keeps known flows out, or the gaps of one resource.

    Reads the firewalls anew. Raises `JobBlocked` for a resource without a gap.
    """
    surveys = await _surveys(services, environment_id)
    if resource is None:
        concerning = [gap for one in surveys for gap in one.network.gaps(one.hosts)]
        found = [gap for gap in concerning if gap.is_required and gap.firewall_id]
    else:
        found = _meant(resource, surveys)
    return [
        FirewallFixView(gap=gap, fix=await _repair(services, gap), environment_ids=ids)
        for gap, ids in _together(found, surveys)
    ]


async def apply_fix(services: Services, wish: FirewallFixInput) -> list[FirewallFixRecord]:
    """Close the gaps of a resource; returns what was put in, once it is read back.

    Raises `JobBlocked`, and `Waiting` with the kill switch on, or while the change is not seen yet.
    """
    surveys = await _surveys(services, wish.environment_id)
    try:
        found = _meant(wish.resource, surveys)
    except JobBlocked:
        # Nothing is missing: a change that was begun before may be all that is to be ended.
        if begun := await _under_way(services, wish.resource):
            return [await complete_if_visible(services, one) for one in begun]
        raise
    return [
        await apply(services, gap, _order(services, wish, ids))
        for gap, ids in _together(found, surveys)
    ]


async def revert_fix(services: Services, wish: FirewallFixInput) -> list[FirewallFixRecord]:
    """Take out what the app put into a resource, and nothing else.

    Raises `JobBlocked` where copies call through it, unless that is wanted all the same.
    """
    standing = [
        one for one in await list_repairs(services) if one.state is not FirewallFixState.REVERTED
    ]
    meant = [one for one in standing if wish.resource.lower() in _names(one)]
    if not meant:
        names = describe_unknown_issue(wish.resource, (one.gap for one in standing))
        raise JobBlocked(
            f"The app has put nothing into {wish.resource}.",
            instruction=names,
            code=Reason.ISSUE_NOT_FOUND,
        )
    if not wish.force:
        await _refuse_in_use(services, meant)
    return [
        await revert(services, one, _order(services, wish, one.environment_ids)) for one in meant
    ]


async def list_repairs(services: Services) -> list[FirewallFixRecord]:
    """Return what the app has put into firewalls, the last first."""
    rows = readable(services, services.tables.firewall_fixes.scan("firewall_fix"))
    found = [kept.item async for kept in rows]
    return sorted(found, key=lambda one: one.at, reverse=True)


async def _under_way(services: Services, resource: str) -> list[FirewallFixRecord]:
    return [
        one
        for one in await list_repairs(services)
        if one.state.is_under_way and resource.lower() in _names(one)
    ]


async def complete_or_report_unfinished_fixes(services: Services) -> None:
    """End each change that was begun an hour ago and can be seen by now; tell of the others."""
    table = services.tables.firewall_fixes
    async for kept in readable(services, table.scan("firewall_fix")):
        record = kept.item
        if not record.code or services.now - record.at < _UNFINISHED:
            continue
        if record.kind in services.firewalls:  # else another version knows the kind
            record = await complete_if_visible(services, record)
        if record.code:
            text = f"A change of {record.firewall} was begun by {record.by} and not seen through."
            await tell(services, record.code, table.name_of(record), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """The network as it concerns one environment, and the hosts that its copies call."""

    environment: Environment
    network: NetworkView
    #: By the hosts that a flow calls: remediations of such flows.
    calling: Mapping[tuple[str, ...], Sequence[str]]

    @property
    def hosts(self) -> list[str]:
        """Return the hosts that are called; while no flow is known, it may be any."""
        return sorted({host for hosts in self.calling for host in hosts}) or [ANY_HOST]


async def _surveys(services: Services, environment_id: str | None) -> list[_Survey]:
    environments = (
        [await services.environments.get(environment_id)]
        if environment_id
        else [one for one in await services.environments.list() if one.policy is not None]
    )
    firewalls, tags = await read_all_firewalls(services)
    found = []
    for one in environments:
        network = network_of(services, one, firewalls, tags)
        calling = await calling_flows(services, one)
        found.append(_Survey(environment=one, network=network, calling=calling))
    return found


def _meant(resource: str, surveys: Sequence[_Survey]) -> list[FirewallIssue]:
    lacking = [gap for one in surveys for gap in one.network.lacking()]
    concerning = {gap.name for one in surveys for gap in one.network.gaps(one.hosts)}
    one_of_each = list({gap.name: gap for gap in lacking}.values())
    try:
        names = {gap.name for gap in find_issues_by_name(resource, one_of_each, concerning)}
    except ValueError as err:
        said = "Give the whole name of a gap."
        raise JobBlocked(str(err), instruction=said, code=Reason.ISSUE_NOT_FOUND) from None
    if not names:
        raise JobBlocked(
            f"{resource} has no gap that concerns flows under a customer-managed key.",
            instruction=describe_unknown_issue(resource, (gap.name for gap in lacking)),
            code=Reason.ISSUE_NOT_FOUND,
        )
    return [gap for gap in lacking if gap.name in names]


def _together(
    gaps: Sequence[FirewallIssue], surveys: Sequence[_Survey]
) -> list[tuple[FirewallIssue, tuple[str, ...]]]:
    """Return each gap once, with what it lacks for the flows of all environments, and which."""
    found: dict[str, FirewallIssue] = {}
    for gap in gaps:
        known = found.get(gap.name, gap)
        missing = union(map(AddressRanges.of, (known.missing_prefixes, gap.missing_prefixes)))
        found[gap.name] = replace(
            known,
            missing_tags=tuple(dict.fromkeys((*known.missing_tags, *gap.missing_tags))),
            missing_prefixes=missing.prefixes(),
            rules=tuple(dict.fromkeys((*known.rules, *gap.rules))),
        )
    lacking = {one.environment.id: {g.name for g in one.network.lacking()} for one in surveys}
    return [
        (gap, tuple(identity for identity, names in lacking.items() if gap.name in names))
        for gap in found.values()
    ]


async def _repair(services: Services, gap: FirewallIssue) -> FirewallFix:
    if not gap.firewall_id:
        return no_fix(gap, f"no_firewall: {gap.text}")
    return await propose_fix(services, gap)


def _order(
    services: Services, wish: FirewallFixInput, environment_ids: tuple[str, ...]
) -> FixAuthorization:
    return FixAuthorization(
        by=wish.by,
        environment_ids=environment_ids,
        holder=_OrderHolder(services=services, holder=f"order/{uuid4().hex}"),
        permit=_permission(services, environment_ids),
    )


def _permission(
    services: Services, environment_ids: Sequence[str]
) -> Callable[[], Awaitable[None]]:
    async def permit() -> None:
        for one in environment_ids:
            await check_write_allowed(services, one)

    return permit


def _names(record: FirewallFixRecord) -> set[str]:
    resource_id = record.gap.partition(":")[2].partition("#")[0]
    return {
        record.gap.lower(),
        record.gap.partition(":")[2].lower(),
        resource_id,
        resource_id.rpartition("/")[2],
        record.opening.resource_id.lower(),
    }


async def _refuse_in_use(services: Services, records: Sequence[FirewallFixRecord]) -> None:
    surveys = await _surveys(services, None)
    flows: Counter[str] = Counter()
    for record in records:
        firewall_id = record.gap.partition(":")[2]
        for one in surveys:
            for hosts, remediations in one.calling.items():
                if one.network.concerns(firewall_id, hosts):
                    flows.update(remediations)
    if flows:
        listed = ", ".join(f"{number} of {name}" for name, number in sorted(flows.items()))
        raise JobBlocked(
            f"Flows whose copies call from the new addresses go through it: {listed}.",
            instruction="Roll these back first; or say that it is to be closed all the same.",
            code=Reason.FIREWALL_FIX_IN_USE,
        )
