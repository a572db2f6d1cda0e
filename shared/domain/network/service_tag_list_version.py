"""An edition of Microsoft's list as it was first seen, and what it changed for the tags in use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.geographies import regions_of
from shared.domain.network.network_check import PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTag,
    ServiceTagList,
    changes,
)

#: The tags whose changes are told.
WATCHED_TAGS = (PROTECTED_TAG, *TAGS_BESIDE)
#: Prefixes of a change that a notice holds; the API has all of them.
_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedFirewall:
    """A firewall that does not let addresses in which the list has more than before."""

    #: As a gap is waived by.
    gap: str
    name: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedRemediation:
    """A remediation with flows that call through such a firewall."""

    remediation_id: str
    flows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTagListVersion:
    """One edition of the list."""

    change_number: int
    #: When it was first seen, and when it was looked at last.
    seen: datetime
    looked: datetime
    #: Prefixes of the watched tags, by name, as they are published.
    prefixes: Mapping[str, tuple[str, ...]]
    #: The number of the edition before; None: this was the first.
    before: int | None = None
    #: Differences to it, of the regions in use.
    changes: tuple[AddressRangeChange, ...] = ()
    firewalls: tuple[AffectedFirewall, ...] = ()
    plans: tuple[AffectedRemediation, ...] = ()
    #: Why people are told of it; empty: nothing is open, or not any more.
    code: str = ""

    @property
    def tags(self) -> ServiceTagList:
        """Return the watched part of the list."""
        return ServiceTagList(
            (ServiceTag(name=name, prefixes=listed) for name, listed in self.prefixes.items()),
            self.change_number,
        )

    @property
    def added(self) -> AddressRanges:
        """Return the addresses that it has more, in the regions in use."""
        return AddressRanges.of(prefix for one in self.changes for prefix in one.added)


def build_list_version(tags: ServiceTagList, now: datetime) -> ServiceTagListVersion:
    """Return what is kept of a list."""
    watched = tuple(tag.lower() for tag in WATCHED_TAGS)
    return ServiceTagListVersion(
        change_number=tags.change_number,
        seen=now,
        looked=now,
        prefixes={
            tag.name: tag.prefixes for tag in tags if tag.name.lower().partition(".")[0] in watched
        },
    )


def changes_in_use(
    before: ServiceTagList, after: ServiceTagList, geographies: Collection[str]
) -> tuple[AddressRangeChange, ...]:
    """Return how the watched tags changed in the regions of these geographies."""
    return tuple(
        change
        for tag in WATCHED_TAGS
        for change in changes(before, after, tag)
        if any(regions_of(geography, [change.region]) for geography in geographies)
    )


def describe_change(edition: ServiceTagListVersion) -> str:
    """Return what people are told of a change, in words."""
    sentences = [
        f"Microsoft's list of service tags went from {edition.before} to {edition.change_number}.",
        *_said("Added", ((f"{one.tag}.{one.region}", one.added) for one in edition.changes)),
        *_said("Removed", ((f"{one.tag}.{one.region}", one.removed) for one in edition.changes)),
    ]
    if edition.firewalls:
        names = ", ".join(one.name for one in edition.firewalls)
        sentences.append(f"Of what was added these firewalls do not let all in: {names}.")
    else:
        sentences.append("No firewall that was read keeps out what was added.")
    sentences += [
        f"Flows of the remediation {one.remediation_id} call through them: {one.flows}."
        for one in edition.plans
    ]
    return " ".join(sentences)


def _said(word: str, by_region: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Return a sentence of prefixes, cut after a few of each region."""
    parts = []
    for region, prefixes in by_region:
        more = f" and {len(prefixes) - _TOLD} more" if len(prefixes) > _TOLD else ""
        if prefixes:
            parts.append(f"{region} {', '.join(prefixes[:_TOLD])}{more}")
    return [f"{word}: {'; '.join(parts)}."] if parts else []
