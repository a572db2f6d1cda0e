"""Count the calls that an original still receives, by caller."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.callers.call_headers import (
    NOT_LISTED,
    CallerSource,
    CallTraits,
    has_matching_claims,
)
from shared.domain.callers.declared_caller import DeclaredCaller

#: Most callers of one original that are listed one by one.
MOST_LISTED = 50
#: Sources that say nothing about who called, and their texts.
_UNIDENTIFIED: Mapping[CallerSource, str] = {
    CallerSource.NOT_SHOWN: "caller not shown by the platform",
    CallerSource.NOT_READ: "caller not read",
    CallerSource.NOT_LISTED: "further callers",
}
_KINDS: Mapping[CallerSource, str] = {
    CallerSource.FLOW: "flow {}",
    CallerSource.LOGIC_APP: "Logic App {}",
    CallerSource.WORKFLOW: "flow or Logic App {}",
    CallerSource.EVENT_GRID: "Event Grid subscription {}",
    CallerSource.AZURE_DEVOPS: "Azure DevOps service hook {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """A call that started a run of an original."""

    started_at: datetime
    traits: CallTraits


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCaller:
    """The calls to one original whose headers show the same traits: how many, and when."""

    traits: CallTraits
    call_count: int
    first_at: datetime
    last_at: datetime

    @property
    def is_identified(self) -> bool:
        """Return whether the traits of the calls may show who called."""
        return self.traits.source not in _UNIDENTIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCallers:
    """The row that counts the calls to a flow job's original, by caller."""

    environment_id: str
    job_id: str
    #: Calls up to this time are counted.
    read_until: datetime
    callers: tuple[ObservedCaller, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCaller:
    """An observed caller with its name, if the app knows one."""

    #: Such as `flow Order sync`; empty: unknown.
    name: str
    #: Whether it is a caller that the app found or a person declared.
    is_known: bool
    observed: ObservedCaller

    @property
    def source(self) -> CallerSource:
        return self.observed.traits.source

    @property
    def call_count(self) -> int:
        """Return the number of calls, or the least possible number if their headers were not
        read.
        """
        return self.observed.call_count

    @property
    def first_at(self) -> datetime:
        return self.observed.first_at

    @property
    def last_at(self) -> datetime:
        return self.observed.last_at

    @property
    def label(self) -> str:
        """Return the caller in words for people, such as `unknown caller: flow Orders`."""
        traits = self.observed.traits
        if unidentified := _UNIDENTIFIED.get(traits.source):
            return unidentified
        if self.is_known:
            return self.name
        who = (
            self.name
            or _KINDS.get(traits.source, "").format(_format_short_caller_id(traits)).strip()
        )
        return f"unknown caller: {who}" if who else "unknown caller"

    @property
    def claims(self) -> str:
        """Return what the headers claim about the caller, such as `curl/8.5 from 192.0.2.0/24`."""
        traits = self.observed.traits
        parts = (traits.user_agent, traits.network and f"from {traits.network}")
        return " ".join(filter(None, parts))

    @property
    def count_text(self) -> str:
        """Return the number of calls in words, such as `at least 3 calls`."""
        calls = "1 call" if self.call_count == 1 else f"{self.call_count:,} calls"
        return f"at least {calls}" if self.source is CallerSource.NOT_READ else calls

    @property
    def text(self) -> str:
        """Return in words who called, how often, since when, and with which claims."""
        parts = [
            self.label,
            f"{self.count_text} since {self.first_at:%Y-%m-%d %H:%M} UTC",
            f"claims to be {self.claims}" if self.claims else "",
        ]
        text = ", ".join(filter(None, parts))
        return text[0].upper() + text[1:]


def add_calls(row: ObservedCallers, calls: Iterable[ObservedCall]) -> ObservedCallers:
    """Add calls to the row. Ignores calls up to `read_until`, which are already counted."""
    found: dict[CallTraits, ObservedCaller] = {one.traits: one for one in row.callers}
    until = row.read_until
    for call in calls:
        if call.started_at <= row.read_until:
            continue
        until = max(until, call.started_at)
        listed = sum(one.is_identified for one in found.values())
        probe = ObservedCaller(
            traits=call.traits, call_count=0, first_at=call.started_at, last_at=call.started_at
        )
        if probe.is_identified and call.traits not in found and listed >= MOST_LISTED:
            probe = replace(probe, traits=NOT_LISTED)
        known = found.get(probe.traits, probe)
        found[probe.traits] = replace(
            known,
            call_count=known.call_count + 1,
            first_at=min(known.first_at, call.started_at),
            last_at=max(known.last_at, call.started_at),
        )
    return replace(row, read_until=until, callers=tuple(found.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNames:
    """The names by which the app knows possible callers of one original."""

    #: Names of flows by their id in the flow service, Dataverse id and trigger URL id.
    flows: Mapping[str, str]
    #: Names of callers that were found, by flow id or lower-case resource id.
    known: Mapping[str, str]
    #: Declared callers by name.
    declared: Mapping[str, DeclaredCaller] = field(default_factory=dict)


def add_caller_names(row: ObservedCallers, names: CallerNames) -> list[NamedCaller]:
    """Return the callers of a row with their names, identified and unknown ones first."""
    named = [_add_caller_name(one, names) for one in row.callers]
    return sorted(
        named,
        key=lambda one: (
            not one.observed.is_identified,
            one.is_known,
            -one.observed.call_count,
            one.name,
        ),
    )


def _add_caller_name(caller: ObservedCaller, names: CallerNames) -> NamedCaller:
    ids = [one for one in (caller.traits.source_id, caller.traits.workflow_url_id) if one]
    known = next((names.known[one] for one in ids if one in names.known), "") or next(
        (
            name
            for name, one in names.declared.items()
            if has_matching_claims(caller.traits, one.user_agent, one.networks)
        ),
        "",
    )
    title = next((names.flows[one] for one in ids if one in names.flows), "")
    return NamedCaller(name=known or title, is_known=bool(known), observed=caller)


def _format_short_caller_id(traits: CallTraits) -> str:
    if traits.source is CallerSource.LOGIC_APP:
        group, _, name = traits.source_id.partition("/providers/microsoft.logic/workflows/")
        return f"{name} in {group.rpartition('/')[2]}"
    return traits.source_id or traits.workflow_url_id
