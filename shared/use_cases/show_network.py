"""Show Microsoft's address ranges, their changes, and firewalls that do not allow all of them.

Reads stored rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.alert import Alert
from shared.domain.network.network_check import PROTECTED_TAG
from shared.domain.network.service_tag_list_version import WATCHED_TAGS, ServiceTagListVersion
from shared.domain.plans.incomplete_firewalls import (
    FirewallFacts,
    IncompleteFirewall,
    count_flows_blocked_by,
    find_incomplete_firewalls,
)
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import UnreadableRow
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.network_snapshot import NetworkReading
from shared.use_cases.read_job_index import read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTag:
    """A service tag whose address ranges the daily check compares."""

    name: str
    #: Whether firewalls must allow it; otherwise a firewall that does not is only reported.
    is_required: bool
    #: Number of its regions and of its address ranges in the newest list.
    region_count: int
    range_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStatus:
    """The watched service tags, the versions of their list, and the incomplete firewalls."""

    tags: tuple[WatchedTag, ...]
    #: The lists of the last 90 days, newest first.
    versions: tuple[ServiceTagListVersion, ...]
    #: Those first that block the most flows.
    firewalls: tuple[IncompleteFirewall, ...]
    #: What the service tag list lacks, so that firewalls cannot be checked.
    unknowns: tuple[IncompleteFirewall, ...]
    #: Number of flows that a firewall blocks.
    blocked_flow_count: int
    #: Number of flows that a firewall blocks, by the id of their remediation.
    blocked_flows_by_remediation: Mapping[str, int]
    #: When all firewalls were last read; None: never.
    firewalls_read_at: datetime | None
    #: Since when a reading of the firewalls is incomplete; None: none is.
    incomplete_since: datetime | None
    #: That the list could not be read for a week, or is old.
    alerts: tuple[Alert, ...]
    unreadable_rows: tuple[UnreadableRow, ...]


async def show_network(services: Services) -> NetworkStatus:
    """Return the stored service tag lists and the incomplete firewalls.

    A firewall is incomplete if it does not allow all address ranges that flows need.
    """
    tables, reading = services.tables, RowReader()
    known = await read_known_jobs(services, reading)
    versions = await reading.list_readable(
        tables.service_tag_list_versions.scan("service_tag_list_version")
    )
    versions.reverse()
    settings = await reading.list_readable(tables.environment_settings.scan("environment"))
    facts = FirewallFacts(
        environment_jobs=known.environment_jobs,
        flow_jobs=known.flow_jobs,
        versions=versions,
        fixes=await reading.list_readable(tables.firewall_fixes.scan("firewall_fix")),
        ignored={one.environment_id: one.ignored_issues for one in settings},
    )
    alerts = await reading.list_readable(tables.alerts.scan("alert"))
    snapshot: SharedSnapshot | None = None
    with reading.collect_unreadable():
        snapshot = await NetworkReading(services).read_last()
    found = find_incomplete_firewalls(facts)
    firewalls = tuple(one for one in found if one.is_firewall)
    return NetworkStatus(
        tags=_list_watched_tags(services.settings.additional_required_tags, versions),
        versions=tuple(versions),
        firewalls=firewalls,
        unknowns=tuple(one for one in found if not one.is_firewall),
        blocked_flow_count=count_flows_blocked_by(firewalls, known.flow_jobs),
        blocked_flows_by_remediation=Counter(
            job.remediation_id
            for job in known.flow_jobs
            if job.reason_code == Reason.FIREWALL_DENIES
        ),
        firewalls_read_at=snapshot.read_at if snapshot else None,
        incomplete_since=snapshot.goes_on_since if snapshot else None,
        alerts=tuple(one for one in alerts if one.reason_code == Reason.ADDRESS_RANGES_OUTDATED),
        unreadable_rows=tuple({row.row: row for row in reading.unreadable}.values()),
    )


def _list_watched_tags(
    additional: Sequence[str], versions: Sequence[ServiceTagListVersion]
) -> tuple[WatchedTag, ...]:
    listed = versions[0].prefixes if versions else {}
    found = []
    for tag in WATCHED_TAGS:
        parts = {
            name.lower(): prefixes
            for name, prefixes in listed.items()
            if name.lower().partition(".")[0] == tag.lower()
        }
        ranges = {prefix for prefixes in parts.values() for prefix in prefixes}
        found.append(
            WatchedTag(
                name=tag,
                is_required=tag == PROTECTED_TAG or tag in additional,
                region_count=sum("." in name for name in parts),
                range_count=len(ranges),
            )
        )
    return tuple(found)
