"""Microsoft's list of service tags: the addresses of each tag, and how two editions of it differ.

The discovery API and the downloadable file write it alike (platform.md#service-tag-api,
#service-tag-file): numbers are texts in one and numbers in the other. A tag's addresses in one
region are a tag of its own, such as `PowerPlatformPlex.WestEurope`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.address_ranges import NOWHERE, AddressRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTag:
    """One entry of the list."""

    #: As Microsoft spells it: `PowerPlatformPlex.WestEurope`; without a region: the tag as a whole.
    name: str
    prefixes: tuple[str, ...]
    #: Where it can be used: `NSG`, `FW`, `UDR`, `API`; empty: not told.
    features: tuple[str, ...] = ()


class ServiceTagList:
    """One edition of the list. Names of tags have no case."""

    def __init__(self, tags: Iterable[ServiceTag], change_number: int = 0) -> None:
        """`change_number` grows with each edition; 0: not told."""
        self.change_number = change_number
        self._tags = {tag.name.lower(): tag for tag in tags}
        # Of three thousand tags a check asks for a few: they are parsed when they are.
        self._addresses: dict[str, AddressRanges | None] = {}

    def __iter__(self) -> Iterator[ServiceTag]:
        """Walk through the entries in their order in the list."""
        return iter(self._tags.values())

    def find(self, name: str) -> ServiceTag | None:
        """Return the entry of this name."""
        return self._tags.get(name.lower())

    def addresses(self, name: str) -> AddressRanges | None:
        """Return a tag's addresses; None: the list does not hold them, or they cannot be read."""
        key = name.lower()
        if key not in self._addresses:
            tag = self._tags.get(key)
            self._addresses[key] = _read(tag.prefixes) if tag else None
        return self._addresses[key]

    def regions(self, tag: str) -> tuple[str, ...]:
        """Return the regions that the list has entries of a tag for, as Microsoft spells them."""
        start = f"{tag.lower()}."
        return tuple(
            one.name[len(start) :] for key, one in self._tags.items() if key[: len(start)] == start
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRangeChange:
    """What one edition of the list has more and less than another, for a tag in one region."""

    tag: str
    #: As Microsoft spells it; empty: addresses that the tag has in no region.
    region: str
    #: Prefixes as they are published, or parts of them where the rest was there before.
    added: tuple[str, ...]
    removed: tuple[str, ...]


def read_service_tags(document: object) -> ServiceTagList:
    """Return the list that a decoded document holds: a downloaded file, or an answer of the API.

    The list may lie anywhere inside, as in a recording. Raises `ValueError` where there is none.
    """
    found = next(_lists_in(document), None)
    if found is None:
        raise ValueError("it holds no list of service tags as Microsoft publishes it")
    number, values = found
    return ServiceTagList([_tag(value) for value in values], number)


def changes(before: ServiceTagList, after: ServiceTagList, tag: str) -> list[AddressRangeChange]:
    """Return how a tag changed, region by region in the order of their names.

    Sets of addresses are compared: a prefix that is now written as its two halves is no change.
    Raises `ValueError` where prefixes cannot be read.
    """
    regions = sorted({*before.regions(tag), *after.regions(tag)})
    by_region = [_change(before, after, tag, region) for region in regions]
    told = AddressRanges.of(p for one in by_region for p in (*one.added, *one.removed))
    whole = _change(before, after, tag, "")
    rest = replace(
        whole,
        added=tuple(p for p in whole.added if not AddressRanges.of([p]) <= told),
        removed=tuple(p for p in whole.removed if not AddressRanges.of([p]) <= told),
    )
    return [one for one in (*by_region, rest) if one.added or one.removed]


def _change(
    before: ServiceTagList, after: ServiceTagList, tag: str, region: str
) -> AddressRangeChange:
    name = f"{tag}.{region}" if region else tag
    was, now = _addresses(before, name), _addresses(after, name)
    return AddressRangeChange(
        tag=tag,
        region=region,
        added=as_published(now - was, after.find(name)),
        removed=as_published(was - now, before.find(name)),
    )


def _addresses(tags: ServiceTagList, name: str) -> AddressRanges:
    found = tags.addresses(name)
    if found is None and tags.find(name):
        raise ValueError(f"the prefixes of {name} cannot be read")
    return found or NOWHERE


def as_published(ranges: AddressRanges, tag: ServiceTag | None) -> tuple[str, ...]:
    """Return addresses of a tag in the words of its prefixes: as they are, or parts of them."""
    written: list[str] = []
    for prefix in tag.prefixes if tag and ranges else ():
        whole = AddressRanges.of([prefix])
        part = whole & ranges
        written += (prefix,) if part == whole else part.prefixes()
    return tuple(written)


def _read(prefixes: Sequence[str]) -> AddressRanges | None:
    try:
        return AddressRanges.of(prefixes)
    except ValueError:
        return None


def _lists_in(value: object) -> Iterator[tuple[int, list[Mapping[str, object]]]]:
    """Yield each list of service tags inside of a document, and its change number."""
    if isinstance(value, list):
        for item in value:
            yield from _lists_in(item)
    elif isinstance(value, dict):
        listed = value.get("values")
        entries = [as_mapping(one) for one in listed] if isinstance(listed, list) else []
        if entries and all("addressPrefixes" in mapping_at(one, "properties") for one in entries):
            yield _number(value.get("changeNumber")), entries
        for member in value.values():
            yield from _lists_in(member)


def _number(written: object) -> int:
    text = str(written)
    return int(text) if text.isascii() and text.isdigit() else 0


def _tag(value: Mapping[str, object]) -> ServiceTag:
    properties = mapping_at(value, "properties")
    return ServiceTag(
        name=text_at(value, "name") or "",
        prefixes=_texts(properties, "addressPrefixes"),
        features=_texts(properties, "networkFeatures"),
    )


def _texts(properties: Mapping[str, object], name: str) -> tuple[str, ...]:
    listed = properties.get(name)
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
