"""Look each day whether Microsoft's ranges have changed, and tell what that means here.

Each edition of the list is a row, written before people are told of it: who died in between tells
at the next look. What a change opens stays in health until no firewall keeps the new addresses out.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.alerts import readable, tell
from shared.domain.environment import Environment
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.geographies import canonical
from shared.domain.network.service_tag_list_version import (
    AffectedFirewall,
    AffectedRemediation,
    ServiceTagListVersion,
    build_list_version,
    changes_in_use,
    describe_change,
)
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, InvalidInput
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.flows.calling_flows import CallingFlows, calling_flows
from shared.steps.flows.check_network import ANY_HOST, network_of, read_all_firewalls
from shared.steps.write_permission import settings_of

#: "Refresh at least every 90 days" (platform.md#tag-refresh); a new edition comes about every week.
OLD = timedelta(days=90)
#: From then on people are told that the list cannot be read.
UNREAD = timedelta(days=7)
#: A change that opens no gap is in health for the day until the next look, at least.
SHOWN = timedelta(hours=20)
#: A reading of the network that the look before could not complete is continued.
_DAILY = timedelta(hours=48)


async def check_address_ranges(services: Services, environments: Sequence[Environment]) -> None:
    """Compare the list with the last one that was seen; raises what reading it raises."""
    editions = [kept async for kept in _editions(services)]
    last = editions[-1] if editions else None
    in_use = [one for one in environments if one.policy is not None]
    try:
        tags = await services.service_tags.get_list()
        await _note(services, last, tags, in_use)
    except CmkflowError as err:
        if last and services.now - last.item.looked > UNREAD:
            why = f"it could not be read since {last.item.looked:%Y-%m-%d}: {redact(str(err))}"
            await _tell_of_age(services, last.item, why)
        raise
    editions = [kept async for kept in _editions(services)]
    for kept in editions:
        if kept.item.code:
            await _tell_or_settle(services, kept, tags, in_use)
        elif services.now - kept.item.seen > OLD and kept is not editions[-1]:
            await services.tables.service_tag_list_versions.delete(kept)
    newest = editions[-1].item
    if services.now - newest.seen > OLD:
        why = f"it is number {newest.change_number} since {newest.seen:%Y-%m-%d}; is it refreshed?"
        await _tell_of_age(services, newest, why)


async def refresh_service_tag_list(services: Services) -> list[ServiceTagListVersion]:
    """Look at once, and return the editions that are kept, the newest first."""
    await check_address_ranges(services, await services.environments.list())
    return await list_editions(services)


async def list_editions(services: Services) -> list[ServiceTagListVersion]:
    """Return the editions that are kept, the newest first."""
    return [kept.item async for kept in _editions(services)][::-1]


async def _editions(services: Services) -> AsyncIterator[StoredItem[ServiceTagListVersion]]:
    async for kept in readable(
        services, services.tables.service_tag_list_versions.scan("service_tag_list_version")
    ):
        yield kept


async def _note(
    services: Services,
    last: StoredItem[ServiceTagListVersion] | None,
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> None:
    """Keep the list if it is not the one that was seen last."""
    table, now = services.tables.service_tag_list_versions, build_list_version(tags, services.now)
    if last is None:
        await table.insert(now)
    elif (last.item.change_number, last.item.prefixes) == (now.change_number, now.prefixes):
        await table.replace(last, replace(last.item, looked=services.now))
    else:
        geographies = {canonical(one.geography) for one in in_use}
        try:
            found = changes_in_use(last.item.tags, tags, geographies)
        except ValueError as err:
            raise InvalidInput(f"Microsoft's list of service tags: {err}") from err
        code = Reason.ADDRESS_RANGES_CHANGED if found else ""
        await table.insert(replace(now, before=last.item.change_number, changes=found, code=code))


async def _tell_or_settle(
    services: Services,
    kept: StoredItem[ServiceTagListVersion],
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> None:
    table = services.tables.service_tag_list_versions
    edition = await _with_effects(services, kept.item, tags, in_use)
    if edition.firewalls or services.now - edition.seen < SHOWN:
        await tell(services, edition.code, table.name_of(edition), describe_change(edition))
    else:
        edition = replace(edition, code="")
    await table.replace(kept, edition)


async def _tell_of_age(services: Services, edition: ServiceTagListVersion, why: str) -> None:
    row = services.tables.service_tag_list_versions.name_of(edition)
    await tell(
        services, Reason.ADDRESS_RANGES_OUTDATED, row, f"Microsoft's list of service tags: {why}"
    )


async def _with_effects(
    services: Services,
    edition: ServiceTagListVersion,
    tags: ServiceTagList,
    in_use: Sequence[Environment],
) -> ServiceTagListVersion:
    """Return the edition with the firewalls that keep out what it added, and who calls them."""
    added, closed, flows = edition.added, dict[str, AffectedFirewall](), Counter[str]()
    firewalls, _ = await read_all_firewalls(services, standstill=_DAILY) if added else ([], tags)
    for environment in in_use if added else ():
        network = network_of(services, environment, firewalls, tags)
        waived = (await settings_of(services, environment.id)).ignored_issues
        # A firewall that was opened for flows counts too where none is known to call through it.
        calling: CallingFlows = {(ANY_HOST,): [], **await calling_flows(services, environment)}
        for hosts, remediations in calling.items():
            lacking = [
                _closed(gap, added)
                for gap in network.gaps(hosts)
                if gap.is_required and gap.name not in waived
            ]
            missing = {one.gap: one for one in lacking if one.missing}
            closed |= missing
            flows += Counter(remediations if missing else ())
    plans = (AffectedRemediation(remediation_id=one, flows=flows[one]) for one in sorted(flows))
    return replace(edition, firewalls=tuple(closed.values()), plans=tuple(plans))


def _closed(gap: FirewallIssue, added: AddressRanges) -> AffectedFirewall:
    missing = AddressRanges.of(gap.missing_prefixes) & added
    return AffectedFirewall(gap=gap.name, name=gap.firewall_name, missing=missing.prefixes())
