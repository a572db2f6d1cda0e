"""Build the Network page: changed address ranges, firewalls that do not allow them, and fixes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

from functions.csv_file import build_csv
from functions.dashboard.kill_switch import adapt_action_to_kill_switch, build_stop_banner
from functions.dashboard.overview import Headline
from functions.dashboard.page_actions import BLOCKED_AGAIN, RETRY, PageAction, build_page_action
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.network.service_tag_list_version import ServiceTagListVersion
from shared.domain.plans.incomplete_firewalls import (
    ConcernedEnvironment,
    FirewallStatus,
    IncompleteFirewall,
    select_firewalls,
)
from shared.domain.plans.pending_actions import format_count
from shared.domain.principal import Principal
from shared.html_pages import format_span
from shared.reason import Reason
from shared.use_cases.show_network import NetworkStatus
from shared.use_cases.show_status import SWEEP_IS_MISSING

HERE = "/api/dashboard/network"
#: Number of firewalls on one page, and of address ranges in one list of them.
FIREWALLS_ON_PAGE = 25
MOST_RANGES = 60
#: Number of remediations whose flows the page offers to retry.
_MOST_RETRIES = 5
#: Number of lists before a fold.
LISTS_SHOWN = 6
#: Look and icon of each status, and its words in a filter.
_STATUSES = {
    FirewallStatus.BLOCKING: ("person", "", "Blocks flows"),
    FirewallStatus.INCOMPLETE: ("wait", "", "Blocks no flow now"),
    FirewallStatus.CHANGED: ("work", "", "Changed by the app"),
    FirewallStatus.IGNORED: ("over", "", "Ignored"),
}
_COLUMNS = (
    "firewall", "kind", "status", "missing_ranges", "has_more_ranges", "blocked_flows",
    "environments", "remediations", "lists", "read_at", "issue",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallChoice:
    """Which firewalls the Network page shows."""

    status: FirewallStatus | str = ""
    search: str = ""
    #: Number of matching firewalls before the page.
    start: int = 0

    def build_query(self, **changes: object) -> str:
        """Return the URL query of this choice, without empty values. `changes` replace its
        conditions.
        """
        values = {"status": self.status, "search": self.search, **changes}
        return urlencode({name: str(value) for name, value in values.items() if value})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRow:
    """A firewall that does not allow all addresses of copies, as a row of the page."""

    firewall: IncompleteFirewall
    look: str
    words: str
    #: How many address ranges it lacks.
    ranges: str
    #: Each environment that it concerns, with the URL of the fix.
    places: tuple[tuple[ConcernedEnvironment, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A version of Microsoft's service tag list, as a row of the page."""

    version: ServiceTagListVersion
    #: How many ranges were added and removed in regions in use.
    words: str


def build_network_page(view: PageContext, status: NetworkStatus, choice: FirewallChoice) -> str:
    found = select_firewalls(status.firewalls, choice.status, choice.search)
    counts = {one: sum(each.status is one for each in status.firewalls) for one in FirewallStatus}
    lists = [_build_tag_list_row(one) for one in status.versions]
    return render_page(
        "network",
        view,
        section="Network",
        here=HERE,
        status=status,
        headline=_build_headline(view, status),
        unread_for=_find_age_of_outdated_tag_list(view, status),
        rows=[
            _build_firewall_row(one)
            for one in found[choice.start : choice.start + FIREWALLS_ON_PAGE]
        ],
        choice=choice,
        matching=len(found),
        size=FIREWALLS_ON_PAGE,
        retries=[
            adapt_action_to_kill_switch(one, view)
            for one in _build_retry_actions(status, view.principal)
        ],
        stopped=build_stop_banner(view),
        statuses=[(one, words, counts[one]) for one, (_, _, words) in _STATUSES.items()],
        lists=lists[:LISTS_SHOWN],
        older_lists=lists[LISTS_SHOWN:],
        most_ranges=MOST_RANGES,
    )


def build_firewalls_csv(status: NetworkStatus, choice: FirewallChoice) -> bytes:
    found = select_firewalls(status.firewalls, choice.status, choice.search)
    return build_csv([_COLUMNS, *map(_list_firewall_cells, found)])


def _list_firewall_cells(one: IncompleteFirewall) -> Iterator[object]:
    yield from (one.name, one.kind, one.status, " ".join(one.missing_prefixes))
    yield from ("yes" if one.has_more_prefixes else "no", one.blocked_count)
    yield ", ".join(_format_environment_name(each) for each in one.environments)
    yield " ".join(dict.fromkeys(each.remediation_id for each in one.environments))
    yield " ".join(map(str, one.change_numbers))
    yield one.read_at.isoformat() if one.read_at else ""
    yield one.issue


def _build_headline(view: PageContext, status: NetworkStatus) -> Headline:
    lead = _describe_newest_tag_list(status.versions)
    kinds = [one.status for one in status.firewalls]
    if blocking := kinds.count(FirewallStatus.BLOCKING):
        blocks = "blocks" if blocking == 1 else "block"
        flows = format_count(status.blocked_flow_count, "flow")
        text = f"{format_count(blocking, 'firewall')} {blocks} {flows}"
        what = "the firewall" if blocking == 1 else "each firewall"
        lead = f"Fix {what} or ignore it, then retry its flows."
        return Headline(look="person", text=text, lead=lead)
    if incomplete := kinds.count(FirewallStatus.INCOMPLETE):
        lack = "lacks" if incomplete == 1 else "lack"
        text = f"{format_count(incomplete, 'firewall')} {lack} address ranges; no flow is blocked"
        return Headline(look="wait", text=text, lead=lead)
    if age := _find_age_of_outdated_tag_list(view, status):
        text = f"Microsoft's list was last read {format_span(age)} ago"
        return Headline(look="wait", text=text, lead=lead)
    if status.unknowns:
        return Headline(look="wait", text="Some address ranges are not known", lead=lead)
    if status.firewalls_read_at is None:
        return Headline(look="over", text="No firewall was read yet", lead=lead)
    return Headline(look="done", text="No firewall is known to block a flow", lead=lead)


def _build_retry_actions(status: NetworkStatus, principal: Principal) -> list[PageAction]:
    names: dict[str, str] = {
        place.remediation_id: _format_environment_name(place)
        for one in status.firewalls
        for place in one.environments
    }
    counts = {
        one: number for one, number in status.blocked_flows_by_remediation.items() if one in names
    }
    retries = list[PageAction]()
    for remediation_id, number in list(counts.items())[:_MOST_RETRIES]:
        flows = format_count(number, "flow")
        title = f"Retry {flows}" + (f" of {names[remediation_id]}" if len(counts) > 1 else "")
        who = "it" if number == 1 else "they"
        does = [
            "First fix each firewall, or ignore it.",
            f"{flows}: retried from the step where {who} stopped.",
            BLOCKED_AGAIN,
        ]
        fields = (("reason_code", str(Reason.FIREWALL_DENIES)),)
        retries.append(
            build_page_action(
                RETRY, title, principal, identity=remediation_id, fields=fields, does=does
            )
        )
    return retries


def _find_age_of_outdated_tag_list(view: PageContext, status: NetworkStatus) -> timedelta | None:
    if not status.versions:
        return None
    age = view.now - status.versions[0].last_checked_at
    return age if age > SWEEP_IS_MISSING else None


def _describe_newest_tag_list(versions: Sequence[ServiceTagListVersion]) -> str:
    if not versions:
        return "The app has not read Microsoft's service tag list yet. The daily check reads it."
    newest = f"Microsoft's newest list is {versions[0].change_number}"
    if changed := next((one for one in versions if one.changes), None):
        return (
            f"{newest}. The last change in regions that you use: {_format_change_count(changed)}."
        )
    if len(versions) == 1:
        return f"{newest}, the only one that the app has read."
    since = f"{versions[-1].first_seen_at:%-d %B %Y}"
    return f"{newest}. Since {since}, no list has changed ranges in regions that you use."


def _format_change_count(version: ServiceTagListVersion) -> str:
    added = sum(len(one.added) for one in version.changes)
    removed = sum(len(one.removed) for one in version.changes)
    return f"{format_count(added, 'range')} added, {removed} removed"


def _build_tag_list_row(version: ServiceTagListVersion) -> ListRow:
    if version.previous_change_number is None:
        return ListRow(version=version, words="no earlier list to compare with")
    if not version.changes:
        return ListRow(version=version, words="no change in regions that you use")
    return ListRow(version=version, words=_format_change_count(version))


def _build_firewall_row(one: IncompleteFirewall) -> FirewallRow:
    look, _, words = _STATUSES[one.status]
    if one.status is FirewallStatus.BLOCKING:
        words = f"Blocks {format_count(one.blocked_count, 'flow')}"
    number = len(one.missing_prefixes)
    ranges = f"{format_count(number, 'range')} missing" if number else "Ranges not known"
    return FirewallRow(
        firewall=one,
        look=look,
        words=words,
        ranges=f"At least {ranges}" if number and one.has_more_prefixes else ranges,
        places=tuple((each, _build_fix_url(one, each)) for each in one.environments),
    )


def _build_fix_url(one: IncompleteFirewall, place: ConcernedEnvironment) -> str:
    query = f"firewall_fix={quote(one.issue, safe='')}&environment={place.environment_id}"
    return f"/api/dashboard/remediations/{place.remediation_id}?{query}#firewall-fix"


def _format_environment_name(one: ConcernedEnvironment) -> str:
    return one.environment_name or one.environment_id
