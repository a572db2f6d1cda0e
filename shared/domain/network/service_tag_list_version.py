"""Define a version of Microsoft's service tag list, and its changes of the tags in use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.geographies import list_regions_of_geography
from shared.domain.network.network_check import PROTECTED_TAG, TAGS_BESIDE
from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTag,
    ServiceTagList,
    list_tag_changes,
)

#: The tags whose changes are reported.
WATCHED_TAGS = (PROTECTED_TAG, *TAGS_BESIDE)
#: Most prefixes of a region in an alert; the API returns all of them.
_MAX_PREFIXES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedFirewall:
    """A firewall that does not allow all addresses that a version of the service tag list has
    added.
    """

    #: The name by which the issue can be ignored.
    issue: str
    name: str
    missing_prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedRemediation:
    """A remediation whose flows call through an affected firewall."""

    remediation_id: str
    flow_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTagListVersion:
    """The row of a version of Microsoft's service tag list, with its changes."""

    change_number: int
    #: When it was first and last read.
    first_seen_at: datetime
    last_checked_at: datetime
    #: Prefixes of the watched tags by name, as published.
    prefixes: Mapping[str, tuple[str, ...]]
    #: Number of the version before; None: this is the first.
    previous_change_number: int | None = None
    #: Changes since then, in the regions in use.
    changes: tuple[AddressRangeChange, ...] = ()
    affected_firewalls: tuple[AffectedFirewall, ...] = ()
    affected_remediations: tuple[AffectedRemediation, ...] = ()
    #: The reason code to report it; empty: nothing needs action.
    reason_code: str = ""

    @property
    def tags(self) -> ServiceTagList:
        """Return the watched tags of this version."""
        return ServiceTagList(
            (ServiceTag(name=name, prefixes=listed) for name, listed in self.prefixes.items()),
            self.change_number,
        )

    @property
    def added(self) -> AddressRanges:
        """Return the addresses that this version has added in the regions in use."""
        return AddressRanges.parse(prefix for one in self.changes for prefix in one.added)


def build_list_version(tags: ServiceTagList, now: datetime) -> ServiceTagListVersion:
    """Return the row of a service tag list, with its watched tags."""
    watched = tuple(tag.lower() for tag in WATCHED_TAGS)
    return ServiceTagListVersion(
        change_number=tags.change_number,
        first_seen_at=now,
        last_checked_at=now,
        prefixes={
            tag.name: tag.prefixes for tag in tags if tag.name.lower().partition(".")[0] in watched
        },
    )


def list_changes_in_use(
    before: ServiceTagList, after: ServiceTagList, geographies: Collection[str]
) -> tuple[AddressRangeChange, ...]:
    """Return the changes of the watched tags in the regions of these geographies."""
    return tuple(
        change
        for tag in WATCHED_TAGS
        for change in list_tag_changes(before, after, tag)
        if any(list_regions_of_geography(geography, [change.region]) for geography in geographies)
    )


def describe_list_change(version: ServiceTagListVersion) -> str:
    """Return in words what a version has changed, and which firewalls and remediations it
    affects.
    """
    sentences = [
        (
            "Microsoft's service tag list changed from version "
            f"{version.previous_change_number} to {version.change_number}."
        ),
        *_format_prefixes(
            "Added", ((f"{one.tag}.{one.region}", one.added) for one in version.changes)
        ),
        *_format_prefixes(
            "Removed", ((f"{one.tag}.{one.region}", one.removed) for one in version.changes)
        ),
    ]
    if version.affected_firewalls:
        names = ", ".join(one.name for one in version.affected_firewalls)
        sentences.append(f"These firewalls do not allow all added addresses: {names}.")
    else:
        sentences.append("No firewall that the app can read denies the added addresses.")
    sentences += [
        f"Flows of remediation {one.remediation_id} that call through them: {one.flow_count}."
        for one in version.affected_remediations
    ]
    return " ".join(sentences)


def _format_prefixes(word: str, by_region: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    parts = []
    for region, prefixes in by_region:
        more = f" and {len(prefixes) - _MAX_PREFIXES} more" if len(prefixes) > _MAX_PREFIXES else ""
        if prefixes:
            parts.append(f"{region} {', '.join(prefixes[:_MAX_PREFIXES])}{more}")
    return [f"{word}: {'; '.join(parts)}."] if parts else []
