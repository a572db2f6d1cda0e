"""Check each day whether Microsoft's service tag list has changed, and report the effects.

Each version of the list is stored before an alert is sent. After a crash, the next check sends the
alert. An alert of a change is kept for some days, and then until no firewall denies the new
addresses.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.alerts import read_readable, send_alert
from shared.domain.environment import Environment
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.geographies import normalize_geography
from shared.domain.network.service_tag_list_version import (
    AffectedFirewall,
    AffectedRemediation,
    ServiceTagListVersion,
    build_list_version,
    describe_list_change,
    list_changes_in_use,
)
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, InvalidInput
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.calling_flows import CallingFlows, read_calling_flows
from shared.steps.flows.check_network import ANY_HOST, build_network_view, read_all_firewalls
from shared.steps.write_permission import read_environment_settings

#: "Refresh at least every 90 days" (platform.md#tag-refresh); a new version appears about weekly.
OLD = timedelta(days=90)
#: After this time without a successful read, an alert is sent.
UNREAD = timedelta(days=7)
#: Minimum time for which a change without a firewall issue is reported: until the next daily check.
SHOWN = timedelta(hours=20)
#: Age up to which an incomplete reading of the firewalls is continued.
_DAILY = timedelta(hours=48)


async def record_address_ranges(services: Services, environments: Sequence[Environment]) -> None:
    """Store a new version of Microsoft's service tag list, and send alerts about it.

    Raises the errors of reading the list.
    """
    versions = [kept async for kept in _scan_versions(services)]
    last = versions[-1] if versions else None
    in_use = [one for one in environments if one.policy is not None]
    try:
        tags = await services.service_tags.get_list()
        await _store_list_or_check_time(services, last, tags, in_use)
    except CmkflowError as err:
        checked_at = last.item.last_checked_at if last else services.now
        if last and services.now - checked_at > UNREAD:
            why = f"it could not be read since {checked_at:%Y-%m-%d}: {redact(str(err))}"
            await _send_alert_of_outdated_list(services, last.item, why)
        raise
    versions = [kept async for kept in _scan_versions(services)]
    for kept in versions:
        if kept.item.reason_code:
            await _send_or_delete_alert(services, kept, tags, in_use)
        elif services.now - kept.item.first_seen_at > OLD and kept is not versions[-1]:
            await services.tables.service_tag_list_versions.delete(kept)
    newest = versions[-1].item
    if services.now - newest.first_seen_at > OLD:
        why = (
            f"version {newest.change_number} has not changed since {newest.first_seen_at:%Y-%m-%d}."
        )
        await _send_alert_of_outdated_list(services, newest, why)


async def refresh_service_tag_list(services: Services) -> list[ServiceTagListVersion]:
    """Read Microsoft's service tag list now, and return the known versions, newest first.

    Stores a new version, and sends alerts about it.
    """
    await record_address_ranges(services, await services.environments.list())
    return await list_known_versions(services)


async def list_known_versions(services: Services) -> list[ServiceTagListVersion]:
    """Return the known versions of the service tag list, newest first."""
    return [kept.item async for kept in _scan_versions(services)][::-1]


async def _scan_versions(services: Services) -> AsyncIterator[StoredItem[ServiceTagListVersion]]:
    async for kept in read_readable(
        services, services.tables.service_tag_list_versions.scan("service_tag_list_version")
    ):
        yield kept


async def _store_list_or_check_time(
    services: Services,
    last: StoredItem[ServiceTagListVersion] | None,
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> None:
    """Store the list if it has changed, or else when it was checked."""
    table, now = services.tables.service_tag_list_versions, build_list_version(tags, services.now)
    if last is None:
        await table.insert(now)
    elif (last.item.change_number, last.item.prefixes) == (now.change_number, now.prefixes):
        await table.replace(last, replace(last.item, last_checked_at=services.now))
    else:
        geographies = {normalize_geography(one.geography) for one in in_use}
        try:
            found = list_changes_in_use(last.item.tags, tags, geographies)
        except ValueError as err:
            raise InvalidInput(f"Microsoft's service tag list: {err}") from err
        code = Reason.ADDRESS_RANGES_CHANGED if found else ""
        await table.insert(
            replace(
                now, previous_change_number=last.item.change_number, changes=found, reason_code=code
            )
        )


async def _send_or_delete_alert(
    services: Services,
    kept: StoredItem[ServiceTagListVersion],
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> None:
    table = services.tables.service_tag_list_versions
    version = await _with_effects(services, kept.item, tags, in_use)
    if version.affected_firewalls or services.now - version.first_seen_at < SHOWN:
        await send_alert(
            services,
            version.reason_code,
            table.get_row_name(version),
            describe_list_change(version),
        )
    else:
        version = replace(version, reason_code="")
    await table.replace(kept, version)


async def _send_alert_of_outdated_list(
    services: Services, version: ServiceTagListVersion, why: str
) -> None:
    row = services.tables.service_tag_list_versions.get_row_name(version)
    await send_alert(
        services, Reason.ADDRESS_RANGES_OUTDATED, row, f"Microsoft's service tag list: {why}"
    )


async def _with_effects(
    services: Services,
    version: ServiceTagListVersion,
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> ServiceTagListVersion:
    """Return the version with the firewalls and remediations that its added addresses affect."""
    added, closed, flows = version.added, dict[str, AffectedFirewall](), Counter[str]()
    firewalls, _ = await read_all_firewalls(services, standstill=_DAILY) if added else ([], tags)
    for environment in in_use if added else ():
        network = build_network_view(services, environment, firewalls, tags)
        ignored = (await read_environment_settings(services, environment.id)).ignored_issues
        # Firewalls that were changed for flows count even if no known flow calls through them.
        calling: CallingFlows = {(ANY_HOST,): [], **await read_calling_flows(services, environment)}
        for hosts, remediations in calling.items():
            lacking = [
                _build_affected_firewall(issue, added)
                for issue in network.find_issues(hosts)
                if issue.is_required and issue.name not in ignored
            ]
            missing = {one.issue: one for one in lacking if one.missing_prefixes}
            closed |= missing
            flows += Counter(remediations if missing else ())
    plans = (
        AffectedRemediation(remediation_id=one, flow_count=flows[one]) for one in sorted(flows)
    )
    return replace(
        version, affected_firewalls=tuple(closed.values()), affected_remediations=tuple(plans)
    )


def _build_affected_firewall(issue: FirewallIssue, added: AddressRanges) -> AffectedFirewall:
    missing = AddressRanges.parse(issue.missing_prefixes) & added
    return AffectedFirewall(
        issue=issue.name, name=issue.firewall_name, missing_prefixes=missing.list_prefixes()
    )
