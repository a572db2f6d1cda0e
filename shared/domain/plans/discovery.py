"""What a discovery finds in one environment, and how it is kept while it is going on.

Each page of a source is kept as rows before the next one is asked for, so that a process that dies
loses one page. The three ids of a flow stay apart: flow.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.conversions.preview import ConversionPreview
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.flow import FlowListEntry, WorkflowSummary
from shared.domain.plans.discovery_differences import FlowServiceListing, differences
from shared.domain.plans.flow_facts import FlowFacts

#: Flows in one row: each takes up to two kilobytes, and a row holds a megabyte of UTF-16.
FLOWS_IN_A_ROW = 100
#: A list whose last page is older is read again before a discovery ends.
LONGEST = timedelta(hours=24)
#: But not if reading these lists takes longer: a discovery with a small budget would never end.
REFRESH_TAKES = LONGEST / 4
#: One that stood still for so long was stopped by somebody, who may have changed things meanwhile.
#: A process that died is followed when its lease of two minutes has passed.
STANDSTILL = timedelta(minutes=30)
_NO_CHILDREN: frozenset[str] = frozenset()


class DiscoverySource(StrEnum):
    """Where a discovery reads flows, in the order in which it does."""

    MICROSOFT_KEY_LIST = (
        "microsoft_key_list"  #: the flow service's list of flows that stay on Microsoft's key
    )
    MOVABLE = (
        "movable"  #: of its list of all flows on Microsoft's key those that the migration will move
    )
    MICROSOFT_KEY = "microsoft_key"  #: its list of all flows on that key; only to assess
    DATAVERSE = "dataverse"
    SINGLE_FLOW = "single_flow"  #: one flow of the report that Dataverse does not have
    ALL_FLOWS_LIST = "all_flows_list"  #: every flow by the flow service; only to reconcile


#: Problem of a flow whose definition the platform keeps from the app
#: (platform.md#hidden-definitions).
NOT_SHOWN = "it is not shown to the app"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOnMicrosoftKey:
    """A flow that the platform will not move under the key."""

    workflow_id: str
    flow_name: str
    display_name: str
    is_on: bool
    is_managed: bool
    in_solution: bool
    #: None: the definition cannot be read; `problem` says why.
    definition: DefinitionSummary | None
    unreadable_reason: str
    digest: str
    #: What a conversion would change, of a flow that was read by itself; else the plan reads it.
    proposal: ConversionPreview | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryPage:
    """A row of a discovery that goes on: a page of a source, or a part of one."""

    #: Or the name of a list that several jobs read together (key_report.py).
    environment_job_id: str
    source: DiscoverySource
    #: Counts the parts of a source from 0.
    sequence: int
    read_at: datetime
    #: False: more rows of the same page follow. A page without its last row is read again.
    ends_page: bool
    #: Where the source goes on after this page, in the platform's own words; empty: it ends here.
    cursor: str = ""
    reported: tuple[FlowListEntry, ...] = ()
    workflows: tuple[WorkflowSummary, ...] = ()
    flows_on_microsoft_key: tuple[FlowOnMicrosoftKey, ...] = ()
    #: Child flows that a flow of the page runs, by Dataverse id; those that run none are left out.
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Flows of earlier pages that are gone, by Dataverse id.
    deleted: tuple[str, ...] = ()
    #: What an assessment keeps of each flow, in place of `held_back`.
    facts: tuple[FlowFacts, ...] = ()
    #: Why the one flow of `reported` could not be read by itself; only to assess.
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryPosition:
    """How far a source has been read."""

    #: Of the part that comes next.
    number: int = 0
    cursor: str = ""
    is_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryResult:
    """What was found in one environment."""

    #: When the first of it was read.
    started_at: datetime
    flows_on_microsoft_key: tuple[FlowOnMicrosoftKey, ...]
    #: Child flows that each flow of the environment runs, by Dataverse id.
    children: Mapping[str, frozenset[str]]
    #: Differences between the sources.
    findings: tuple[str, ...]
    has_dataverse: bool = True


def whole_pages(parts: Iterable[DiscoveryPage], source: DiscoverySource) -> list[DiscoveryPage]:
    """Return the parts of a source up to the last whole page; what follows is read again.

    So is what follows a part that is gone: the sweep may have taken it for too old meanwhile.
    """
    ours = sorted((one for one in parts if one.source is source), key=lambda one: one.sequence)
    ours = [part for place, part in enumerate(ours) if part.sequence == place]
    ends = [place for place, part in enumerate(ours) if part.ends_page]
    return ours[: ends[-1] + 1] if ends else []


def position_of(parts: Iterable[DiscoveryPage], source: DiscoverySource) -> DiscoveryPosition:
    """Return where to go on with a source."""
    read = whole_pages(parts, source)
    if not read:
        return DiscoveryPosition()
    last = read[-1]
    return DiscoveryPosition(number=last.sequence + 1, cursor=last.cursor, is_read=not last.cursor)


def is_stale(parts: Iterable[DiscoveryPage], now: datetime) -> bool:
    """Return whether a discovery has stood still for too long to continue it."""
    times = [part.read_at for part in parts]
    return bool(times) and now - max(times) > STANDSTILL


def outdated_sources(parts: Sequence[DiscoveryPage], now: datetime) -> list[DiscoverySource]:
    """Return the sources that are read again, since they were read whole too long ago.

    Flows that were read one by one are not among them.
    """
    found: dict[DiscoverySource, timedelta] = {}
    for source in set(DiscoverySource) - {DiscoverySource.SINGLE_FLOW}:
        pages = whole_pages(parts, source)
        if pages and not pages[-1].cursor and now - pages[-1].read_at > LONGEST:
            found[source] = pages[-1].read_at - pages[0].read_at
    return sorted(found) if sum(found.values(), timedelta()) <= REFRESH_TAKES else []


def reported_in(
    parts: Iterable[DiscoveryPage], source: DiscoverySource
) -> dict[str, FlowListEntry]:
    """Return the flows that a source of the flow service lists, by `identity`."""
    pages = whole_pages(parts, source)
    return {flow.identity: flow for part in pages for flow in part.reported}


def known_in(parts: Iterable[DiscoveryPage]) -> dict[str, WorkflowSummary]:
    """Return the flows that Dataverse has, by their id; what was read later counts."""
    known: dict[str, WorkflowSummary] = {}
    for part in whole_pages(parts, DiscoverySource.DATAVERSE):
        known |= {flow.workflow_id: flow for flow in part.workflows}
        for flow in part.deleted:
            known.pop(flow, None)
    return known


def combine_pages(parts: Sequence[DiscoveryPage]) -> DiscoveryResult:
    """Put together what all sources told; there is at least the report."""
    alone = whole_pages(parts, DiscoverySource.SINGLE_FLOW)
    known, reported = known_in(parts), reported_in(parts, DiscoverySource.MICROSOFT_KEY_LIST)
    children: dict[str, frozenset[str]] = {}
    held_back: dict[str, FlowOnMicrosoftKey] = {}
    for part in [*whole_pages(parts, DiscoverySource.DATAVERSE), *alone]:
        for flow in (*(one.workflow_id for one in part.workflows), *part.deleted):
            children.pop(flow, None)  # what was read later counts
            held_back.pop(flow, None)
        children |= {one.workflow_id: _NO_CHILDREN for one in part.workflows}
        children |= part.children
        held_back |= {one.workflow_id: one for one in part.flows_on_microsoft_key}
    for part in alone:
        for one in part.flows_on_microsoft_key:
            children.setdefault(one.workflow_id, _NO_CHILDREN)
    listed = reported_in(parts, DiscoverySource.ALL_FLOWS_LIST)
    has_listed = position_of(parts, DiscoverySource.ALL_FLOWS_LIST).is_read
    return DiscoveryResult(
        started_at=min(part.read_at for part in parts),
        flows_on_microsoft_key=tuple(one for flow, one in held_back.items() if flow in reported),
        children=children,
        findings=differences(
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
