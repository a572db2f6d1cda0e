"""Propose, apply and revert firewall fixes on request of a person.

Plans may fix the firewalls in `writable_firewalls` without such a request.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import read_readable, send_alert
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.network.address_ranges import AddressRanges, unite_ranges
from shared.domain.network.firewall_fix import FirewallFix, build_unavailable_fix
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.issue_lookup import find_issues_by_name, suggest_issue_names
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.calling_flows import read_calling_flows
from shared.steps.flows.check_network import (
    ANY_HOST,
    NetworkView,
    build_network_view,
    read_all_firewalls,
)
from shared.steps.flows.firewall_fixes import (
    FixAuthorization,
    apply_firewall_fix,
    complete_fix_if_visible,
    propose_fix,
    revert_firewall_fix,
)
from shared.steps.flows.lease_resource import RequestHolder
from shared.steps.optional_read import read_or_no_answer
from shared.steps.write_permission import require_write_allowed

#: After this time, no request waits for the fix any longer.
_UNFINISHED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixView:
    """A firewall issue with its proposed fix."""

    issue: FirewallIssue
    fix: FirewallFix
    environment_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixInput:
    """A person's request to apply or revert the fixes of a resource."""

    #: Name of a firewall issue, Azure resource id, or name of a resource.
    resource: str
    requested_by: str
    #: Only for the flows of this environment; None for every environment with a policy.
    environment_id: str | None = None
    #: Revert the fix although flows need it.
    force: bool = False


async def propose_fixes(
    services: Services, resource: str | None = None, environment_id: str | None = None
) -> list[FirewallFixView]:
    """Return a fix for each issue that affects flows.

    `resource` limits the result to one resource. Raises `JobBlocked` for a resource without an
    issue.
    """
    surveys = await _read_surveys(services, environment_id)
    if resource is None:
        concerning = [issue for one in surveys for issue in one.network.find_issues(one.hosts)]
        found = [issue for issue in concerning if issue.is_required and issue.firewall_id]
    else:
        found = _find_issues(resource, surveys)
    return [
        FirewallFixView(
            issue=issue,
            fix=await _propose_fix_of_known_firewall(services, issue),
            environment_ids=ids,
        )
        for issue, ids in _merge_issues(found, surveys)
    ]


async def apply_fix(services: Services, request: FirewallFixInput) -> list[FirewallFixRecord]:
    """Apply the fixes of a resource, and return them after they were read back.

    Raises `JobBlocked`, and `Waiting`, for example if the kill switch is on or the change is not
    visible yet.
    """
    surveys = await _read_surveys(services, request.environment_id)
    try:
        found = _find_issues(request.resource, surveys)
    except JobBlocked:
        # Nothing is missing, but a fix that was started earlier may not be complete.
        if begun := await _read_fixes_in_progress(services, request.resource):
            return [await complete_fix_if_visible(services, one) for one in begun]
        raise
    return [
        await apply_firewall_fix(services, issue, _build_authorization(services, request, ids))
        for issue, ids in _merge_issues(found, surveys)
    ]


async def revert_fix(services: Services, request: FirewallFixInput) -> list[FirewallFixRecord]:
    """Revert the fixes that the app applied to a resource.

    Raises `JobBlocked` if the app has applied no fix to the resource, or if copies call through it
    and the request lacks `force`.
    """
    open_fixes = [
        one
        for one in await list_applied_fixes(services)
        if one.state is not FirewallFixState.REVERTED
    ]
    selected = [one for one in open_fixes if request.resource.lower() in _list_names_of_fix(one)]
    if not selected:
        names = suggest_issue_names(request.resource, (one.issue for one in open_fixes))
        raise JobBlocked(
            f"The app has applied no fix to {request.resource}.",
            fix=names,
            code=Reason.ISSUE_NOT_FOUND,
        )
    if not request.force:
        await _require_unused_fixes(services, selected)
    return [
        await revert_firewall_fix(
            services, one, _build_authorization(services, request, one.environment_ids)
        )
        for one in selected
    ]


async def list_applied_fixes(services: Services) -> list[FirewallFixRecord]:
    """Return the fixes that the app has applied, newest first."""
    rows = read_readable(services, services.tables.firewall_fixes.scan("firewall_fix"))
    found = [kept.item async for kept in rows]
    return sorted(found, key=lambda one: one.changed_at, reverse=True)


async def _read_fixes_in_progress(services: Services, resource: str) -> list[FirewallFixRecord]:
    return [
        one
        for one in await list_applied_fixes(services)
        if one.state.is_under_way and resource.lower() in _list_names_of_fix(one)
    ]


async def complete_or_report_unfinished_fixes(services: Services) -> None:
    """Complete fixes that began an hour ago or earlier and are visible.

    Sends an alert about each such fix that is not visible.
    """
    table = services.tables.firewall_fixes
    async for kept in read_readable(services, table.scan("firewall_fix")):
        record = kept.item
        if not record.reason_code or services.now - record.changed_at < _UNFINISHED:
            continue
        text = f"{record.changed_by} started a fix of {record.firewall}, which is not confirmed."
        if record.kind in services.firewalls:  # otherwise only another version of the app knows it
            seen = await read_or_no_answer(complete_fix_if_visible(services, record))
            if isinstance(seen, NoAnswer):
                text += f" It cannot be read: {seen.message}"
            else:
                record = seen
        if record.reason_code:
            await send_alert(services, record.reason_code, table.get_row_name(record), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """The firewalls and new addresses of one environment, and the hosts that its copies call."""

    environment: Environment
    network: NetworkView
    #: Remediations by the hosts that their flows call.
    calling: Mapping[tuple[str, ...], Sequence[str]]

    @property
    def hosts(self) -> list[str]:
        return sorted({host for hosts in self.calling for host in hosts}) or [ANY_HOST]


async def _read_surveys(services: Services, environment_id: str | None) -> list[_Survey]:
    environments = (
        [await services.environments.get(environment_id)]
        if environment_id
        else [one for one in await services.environments.list() if one.policy is not None]
    )
    firewalls, tags = await read_all_firewalls(services)
    found = []
    for one in environments:
        network = build_network_view(services, one, firewalls, tags)
        calling = await read_calling_flows(services, one)
        found.append(_Survey(environment=one, network=network, calling=calling))
    return found


def _find_issues(resource: str, surveys: Sequence[_Survey]) -> list[FirewallIssue]:
    missing_issues = [issue for one in surveys for issue in one.network.find_required_issues()]
    concerning = {issue.name for one in surveys for issue in one.network.find_issues(one.hosts)}
    one_of_each = list({issue.name: issue for issue in missing_issues}.values())
    try:
        names = {issue.name for issue in find_issues_by_name(resource, one_of_each, concerning)}
    except ValueError as err:
        said = "Give the full name of a firewall issue."
        raise JobBlocked(str(err), fix=said, code=Reason.ISSUE_NOT_FOUND) from None
    if not names:
        raise JobBlocked(
            f"{resource} has no firewall issue that affects flows on a customer-managed key.",
            fix=suggest_issue_names(resource, (issue.name for issue in missing_issues)),
            code=Reason.ISSUE_NOT_FOUND,
        )
    return [issue for issue in missing_issues if issue.name in names]


def _merge_issues(
    issues: Sequence[FirewallIssue], surveys: Sequence[_Survey]
) -> list[tuple[FirewallIssue, tuple[str, ...]]]:
    """Return each issue once, with its environments and all addresses that they miss."""
    found: dict[str, FirewallIssue] = {}
    for issue in issues:
        known = found.get(issue.name, issue)
        missing = unite_ranges(
            map(AddressRanges.parse, (known.missing_prefixes, issue.missing_prefixes))
        )
        found[issue.name] = replace(
            known,
            missing_tags=tuple(dict.fromkeys((*known.missing_tags, *issue.missing_tags))),
            missing_prefixes=missing.list_prefixes(),
            rules=tuple(dict.fromkeys((*known.rules, *issue.rules))),
        )
    missing_issues = {
        one.environment.id: {g.name for g in one.network.find_required_issues()} for one in surveys
    }
    return [
        (
            issue,
            tuple(identity for identity, names in missing_issues.items() if issue.name in names),
        )
        for issue in found.values()
    ]


async def _propose_fix_of_known_firewall(services: Services, issue: FirewallIssue) -> FirewallFix:
    if not issue.firewall_id:
        return build_unavailable_fix(issue, f"no_firewall: {issue.message}")
    return await propose_fix(services, issue)


def _build_authorization(
    services: Services, request: FirewallFixInput, environment_ids: tuple[str, ...]
) -> FixAuthorization:
    async def require_writes_allowed() -> None:
        for one in environment_ids:
            await require_write_allowed(services, one)

    return FixAuthorization(
        requested_by=request.requested_by,
        environment_ids=environment_ids,
        holder=RequestHolder(services=services),
        permit=require_writes_allowed,
    )


def _list_names_of_fix(record: FirewallFixRecord) -> set[str]:
    resource_id = record.issue.partition(":")[2].partition("#")[0]
    return {
        record.issue.lower(),
        record.issue.partition(":")[2].lower(),
        resource_id,
        resource_id.rpartition("/")[2],
        record.added_entries.resource_id.lower(),
    }


async def _require_unused_fixes(services: Services, records: Sequence[FirewallFixRecord]) -> None:
    surveys = await _read_surveys(services, None)
    flows: Counter[str] = Counter()
    for record in records:
        firewall_id = record.issue.partition(":")[2]
        for one in surveys:
            for hosts, remediations in one.calling.items():
                if one.network.may_pass_through(firewall_id, hosts):
                    flows.update(remediations)
    if flows:
        listed = ", ".join(f"{number} of {name}" for name, number in sorted(flows.items()))
        raise JobBlocked(
            f"Copies still call through this firewall: {listed}.",
            fix="Roll these flows back first, or repeat the request with `force`.",
            code=Reason.FIREWALL_FIX_IN_USE,
        )
