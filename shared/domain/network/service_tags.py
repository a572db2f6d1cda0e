"""Parse Microsoft's service tag list, and compare two versions of it.

The discovery API and the downloadable file have the same format (platform.md#service-tag-api,
#service-tag-file), except that one writes numbers as texts. A tag's addresses in one region are a
separate tag, such as `PowerPlatformPlex.WestEurope`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.address_ranges import NOWHERE, AddressRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTag:
    """An entry of Microsoft's service tag list."""

    #: In Microsoft's spelling: `PowerPlatformPlex.WestEurope`; without a region, the whole tag.
    name: str
    prefixes: tuple[str, ...]


class ServiceTagList:
    """A version of Microsoft's list of service tags. Lookups ignore the case of names."""

    def __init__(self, tags: Iterable[ServiceTag], change_number: int = 0) -> None:
        """`change_number` grows with each version of the list. It is 0 if unknown."""
        self.change_number = change_number
        self._tags = {tag.name.lower(): tag for tag in tags}
        # A check uses a few of three thousand tags, so addresses are parsed on first use.
        self._addresses: dict[str, AddressRanges | None] = {}

    def __iter__(self) -> Iterator[ServiceTag]:
        return iter(self._tags.values())

    def find(self, name: str) -> ServiceTag | None:
        return self._tags.get(name.lower())

    def find_addresses(self, name: str) -> AddressRanges | None:
        """Return a tag's addresses, or None if they are not in the list or cannot be parsed."""
        key = name.lower()
        if key not in self._addresses:
            tag = self._tags.get(key)
            self._addresses[key] = _parse_addresses(tag.prefixes) if tag else None
        return self._addresses[key]

    def list_regions(self, tag: str) -> tuple[str, ...]:
        """Return the regions for which the list has entries of a tag, in Microsoft's spelling."""
        start = f"{tag.lower()}."
        return tuple(
            one.name[len(start) :] for key, one in self._tags.items() if key[: len(start)] == start
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRangeChange:
    """The addresses that a version of the list added to, or removed from, a tag in one region."""

    tag: str
    #: In Microsoft's spelling; empty: addresses of the tag that are in no region.
    region: str
    #: Prefixes as published, or parts of them if the rest was there before.
    added: tuple[str, ...]
    removed: tuple[str, ...]


def parse_service_tags(document: object) -> ServiceTagList:
    """Return the service tag list in a decoded document: a downloaded file, or the API's response.

    The list may be nested at any depth, as in a recording. Raises `ValueError` if there is none.
    """
    found = next(_find_tag_lists(document), None)
    if found is None:
        raise ValueError("it contains no service tag list in Microsoft's format")
    number, values = found
    return ServiceTagList([_parse_tag(value) for value in values], number)


def list_tag_changes(
    before: ServiceTagList, after: ServiceTagList, tag: str
) -> list[AddressRangeChange]:
    """Return the changes of a tag between two lists, by region in alphabetical order.

    Sets of addresses are compared, so a prefix that is split into its halves is not a change.
    Raises `ValueError` if prefixes cannot be parsed.
    """
    regions = sorted({*before.list_regions(tag), *after.list_regions(tag)})
    by_region = [_build_region_change(before, after, tag, region) for region in regions]
    regional = AddressRanges.parse(p for one in by_region for p in (*one.added, *one.removed))
    whole = _build_region_change(before, after, tag, "")
    rest = replace(
        whole,
        added=tuple(p for p in whole.added if not AddressRanges.parse([p]) <= regional),
        removed=tuple(p for p in whole.removed if not AddressRanges.parse([p]) <= regional),
    )
    return [one for one in (*by_region, rest) if one.added or one.removed]


def _build_region_change(
    before: ServiceTagList, after: ServiceTagList, tag: str, region: str
) -> AddressRangeChange:
    name = f"{tag}.{region}" if region else tag
    was, now = _find_addresses(before, name), _find_addresses(after, name)
    return AddressRangeChange(
        tag=tag,
        region=region,
        added=format_as_published(now - was, after.find(name)),
        removed=format_as_published(was - now, before.find(name)),
    )


def _find_addresses(tags: ServiceTagList, name: str) -> AddressRanges:
    found = tags.find_addresses(name)
    if found is None and tags.find(name):
        raise ValueError(f"the prefixes of {name} cannot be read")
    return found or NOWHERE


def format_as_published(ranges: AddressRanges, tag: ServiceTag | None) -> tuple[str, ...]:
    """Return addresses of a tag as the prefixes that Microsoft publishes, or as parts of them."""
    written: list[str] = []
    for prefix in tag.prefixes if tag and ranges else ():
        whole = AddressRanges.parse([prefix])
        part = whole & ranges
        written += (prefix,) if part == whole else part.list_prefixes()
    return tuple(written)


def _parse_addresses(prefixes: Sequence[str]) -> AddressRanges | None:
    try:
        return AddressRanges.parse(prefixes)
    except ValueError:
        return None


def _find_tag_lists(value: object) -> Iterator[tuple[int, list[Mapping[str, object]]]]:
    if isinstance(value, list):
        for item in value:
            yield from _find_tag_lists(item)
    elif isinstance(value, dict):
        listed = value.get("values")
        entries = [as_mapping(one) for one in listed] if isinstance(listed, list) else []
        if entries and all("addressPrefixes" in mapping_at(one, "properties") for one in entries):
            yield _parse_change_number(value.get("changeNumber")), entries
        for member in value.values():
            yield from _find_tag_lists(member)


def _parse_change_number(written: object) -> int:
    text = str(written)
    return int(text) if text.isascii() and text.isdigit() else 0


def _parse_tag(value: Mapping[str, object]) -> ServiceTag:
    listed = mapping_at(value, "properties").get("addressPrefixes")
    prefixes = tuple(map(str, listed)) if isinstance(listed, list) else ()
    return ServiceTag(name=text_at(value, "name") or "", prefixes=prefixes)
