"""Define the result of a discovery of flows in one environment, and how its pages are stored.

Each page of a source is stored before the next one is read, so that a crash loses only one page.
flow.py explains the three ids of a flow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.conversions.preview import ConversionPreview
from shared.domain.definitions.connector_sign_in import ConnectorSignIn
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.flow import FlowListEntry, FlowState, WorkflowSummary
from shared.domain.flow_owner import FlowOwner, OwnerStatus
from shared.domain.plans.discovery_differences import FlowServiceListing, find_differences
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.power_apps import CanvasApp, Connection

#: Flows per row: each takes up to two kilobytes, and a row holds a megabyte of UTF-16.
FLOWS_IN_A_ROW = 100
#: A list whose last page is older is read again before a discovery ends.
LONGEST = timedelta(hours=24)
#: But not if reading these lists takes longer: a discovery with a small budget would never end.
REFRESH_TAKES = LONGEST / 4
#: A discovery that made no progress for this long was stopped by somebody, and the environment may
#: have changed. After a crash, another invocation continues within two minutes, when the lease
#: expires.
DISCOVERY_RESTART_AFTER = timedelta(minutes=30)
_NO_CHILDREN: frozenset[str] = frozenset()


class DiscoverySource(StrEnum):
    """The sources that a discovery reads."""

    #: The list of flows that stay on Microsoft's key.
    MICROSOFT_KEY_LIST = "microsoft_key_list"
    #: Of all flows on Microsoft's key, those that the platform will move.
    MOVABLE = "movable"
    #: The list of all flows on Microsoft's key; only for assessments.
    MICROSOFT_KEY = "microsoft_key"
    DATAVERSE = "dataverse"
    SINGLE_FLOW = "single_flow"  #: one listed flow that Dataverse does not have
    TRIGGER_URL = "trigger_url"  #: the runs of one flow, for its trigger URL; only for assessments
    ALL_FLOWS_LIST = "all_flows_list"  #: every flow of the flow service; only for a full comparison
    CONNECTIONS = "connections"  #: only for assessments, as the following
    CONNECTOR = "connector"  #: how connections of one connector sign in
    CANVAS_APPS = "canvas_apps"


#: The problem of a flow whose definition the platform hides from the app
#: (platform.md#hidden-definitions).
NOT_SHOWN = "the platform does not show it to the app"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOnMicrosoftKey:
    """A flow that the platform will not move to the customer-managed key, as discovered."""

    workflow_id: str
    flow_name: str
    display_name: str
    is_on: bool
    is_managed: bool
    in_solution: bool
    #: None: the definition could not be read; `problem` says why.
    definition: DefinitionSummary | None
    unreadable_reason: str
    digest: str
    #: The proposed conversion of a flow that was read alone; for other flows the plan reads it.
    conversion_preview: ConversionPreview | None = None
    #: None: unknown.
    owner: FlowOwner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryPage:
    """The row of a page, or of a part of a page, that a discovery has read from a source."""

    #: Or the name of a list that several jobs share (key_report.py).
    environment_job_id: str
    source: DiscoverySource
    #: Number of the part within its source, from 0.
    sequence: int
    read_at: datetime
    #: False: more rows of the same page follow. A page without its last row is read again.
    ends_page: bool
    #: The platform's cursor for the next page; empty: this is the last.
    cursor: str = ""
    reported: tuple[FlowListEntry, ...] = ()
    workflows: tuple[WorkflowSummary, ...] = ()
    flows_on_microsoft_key: tuple[FlowOnMicrosoftKey, ...] = ()
    #: Child flows of the page's flows, by Dataverse id; flows without any are omitted.
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Flows of earlier pages that no longer exist, by Dataverse id.
    deleted: tuple[str, ...] = ()
    #: The facts that an assessment stores for each flow instead of `held_back`.
    facts: tuple[FlowFacts, ...] = ()
    #: Why the one flow of `reported` could not be read; only for assessments.
    problem: str = ""
    connections: tuple[Connection, ...] = ()
    #: By the connector's name.
    connectors: Mapping[str, ConnectorSignIn] = field(default_factory=dict)
    canvas_apps: tuple[CanvasApp, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryPosition:
    """How far a discovery has read one source."""

    #: Number of the next part.
    number: int = 0
    cursor: str = ""
    is_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryResult:
    """The result of a discovery in one environment."""

    #: When the first page was read.
    started_at: datetime
    flows_on_microsoft_key: tuple[FlowOnMicrosoftKey, ...]
    #: Child flows of each flow of the environment, by Dataverse id.
    children: Mapping[str, frozenset[str]]
    #: Differences between the sources.
    findings: tuple[str, ...]
    #: The state of each flow of the environment in Dataverse, also of copies, by id.
    states: Mapping[str, FlowState] = field(default_factory=dict)
    has_dataverse: bool = True


def list_whole_pages(
    parts: Iterable[DiscoveryPage], source: DiscoverySource
) -> list[DiscoveryPage]:
    """Return the parts of a source up to its last complete page. Later parts are read again.

    Parts after a missing part do not count either: the daily check may have removed that part.
    """
    ours = sorted((one for one in parts if one.source is source), key=lambda one: one.sequence)
    ours = [part for place, part in enumerate(ours) if part.sequence == place]
    ends = [place for place, part in enumerate(ours) if part.ends_page]
    return ours[: ends[-1] + 1] if ends else []


def get_position(parts: Iterable[DiscoveryPage], source: DiscoverySource) -> DiscoveryPosition:
    """Return where to continue to read a source."""
    read = list_whole_pages(parts, source)
    if not read:
        return DiscoveryPosition()
    last = read[-1]
    return DiscoveryPosition(number=last.sequence + 1, cursor=last.cursor, is_read=not last.cursor)


def is_stale(parts: Iterable[DiscoveryPage], now: datetime) -> bool:
    """Return whether a discovery has made no progress for too long and must start again."""
    times = [part.read_at for part in parts]
    return bool(times) and now - max(times) > DISCOVERY_RESTART_AFTER


def list_outdated_sources(parts: Sequence[DiscoveryPage], now: datetime) -> list[DiscoverySource]:
    """Return the sources to read again, because they were completely read too long ago.

    Flows and connectors that were read one by one are not among them. Returns no sources if reading
    them again would take too long.
    """
    found: dict[DiscoverySource, timedelta] = {}
    one_by_one = {
        DiscoverySource.SINGLE_FLOW,
        DiscoverySource.TRIGGER_URL,
        DiscoverySource.CONNECTOR,
    }
    for source in set(DiscoverySource) - one_by_one:
        pages = list_whole_pages(parts, source)
        if pages and not pages[-1].cursor and now - pages[-1].read_at > LONGEST:
            found[source] = pages[-1].read_at - pages[0].read_at
    return sorted(found) if sum(found.values(), timedelta()) <= REFRESH_TAKES else []


def select_reported_flows(
    parts: Iterable[DiscoveryPage], source: DiscoverySource
) -> dict[str, FlowListEntry]:
    """Return the flows in a list of the flow service, by `identity`."""
    pages = list_whole_pages(parts, source)
    return {flow.identity: flow for part in pages for flow in part.reported}


def select_dataverse_flows(parts: Iterable[DiscoveryPage]) -> dict[str, WorkflowSummary]:
    """Return the flows in Dataverse by id.

    A later page replaces what an earlier page has of a flow.
    """
    known: dict[str, WorkflowSummary] = {}
    for part in list_whole_pages(parts, DiscoverySource.DATAVERSE):
        known |= {flow.workflow_id: flow for flow in part.workflows}
        for flow in part.deleted:
            known.pop(flow, None)
    return known


def combine_pages(parts: Sequence[DiscoveryPage]) -> DiscoveryResult:
    """Return the result of a discovery from all its pages.

    The pages include the list of flows that stay on Microsoft's key.
    """
    alone = list_whole_pages(parts, DiscoverySource.SINGLE_FLOW)
    known, reported = (
        select_dataverse_flows(parts),
        select_reported_flows(parts, DiscoverySource.MICROSOFT_KEY_LIST),
    )
    children: dict[str, frozenset[str]] = {}
    held_back: dict[str, FlowOnMicrosoftKey] = {}
    for part in [*list_whole_pages(parts, DiscoverySource.DATAVERSE), *alone]:
        for flow in (*(one.workflow_id for one in part.workflows), *part.deleted):
            children.pop(flow, None)  # later pages replace earlier ones
            held_back.pop(flow, None)
        children |= {one.workflow_id: _NO_CHILDREN for one in part.workflows}
        children |= part.children
        held_back |= {one.workflow_id: one for one in part.flows_on_microsoft_key}
    for part in alone:
        for one in part.flows_on_microsoft_key:
            children.setdefault(one.workflow_id, _NO_CHILDREN)
    listed = select_reported_flows(parts, DiscoverySource.ALL_FLOWS_LIST)
    has_listed = get_position(parts, DiscoverySource.ALL_FLOWS_LIST).is_read
    return DiscoveryResult(
        started_at=min(part.read_at for part in parts),
        flows_on_microsoft_key=_with_known_owners(
            [one for flow, one in held_back.items() if flow in reported]
        ),
        children=children,
        states={flow: one.state for flow, one in known.items()},
        findings=find_differences(
            known,
            FlowServiceListing(
                reported=reported,
                alone=frozenset(
                    flow.workflow_id for part in alone for flow in part.flows_on_microsoft_key
                ),
                everything=listed if has_listed else None,
            ),
        ),
    )


def _with_known_owners(flows: Sequence[FlowOnMicrosoftKey]) -> tuple[FlowOnMicrosoftKey, ...]:
    """Return the flows with their owners' names, if other flows of the same owner have them.

    Only Dataverse names owners, and flows outside solutions may have no row there.
    """
    owners = {one.owner.entra_id: one.owner for one in flows if one.owner and one.owner.name}
    return tuple(
        replace(flow, owner=replace(known, id=flow.owner.id))
        if flow.owner
        and flow.owner.status is OwnerStatus.UNKNOWN
        and (known := owners.get(flow.owner.entra_id))
        else flow
        for flow in flows
    )
