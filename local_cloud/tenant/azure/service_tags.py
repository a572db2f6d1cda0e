"""Store Microsoft's list of service tags, which firewall rules name in place of address ranges.

service_tags_api.py serves the list. The tenant also evaluates rules of its network security groups
and access restrictions with it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from local_cloud.tenant.azure.addresses import Ranges, parse_ranges
from local_cloud.tenant.azure.published_ranges import PUBLISHED_RANGES

#: The number of the list that PUBLISHED_RANGES was taken from.
PUBLISHED_CHANGE_NUMBER = "376"


@dataclass(frozen=True, kw_only=True)
class SimulatedServiceTag:
    """An entry of the list: a whole service tag, or its ranges in one region."""

    #: `PowerPlatformPlex` or `PowerPlatformPlex.WestEurope`.
    name: str
    change_number: str
    system_service: str
    #: Lower case, as in `location`; empty for the tag as a whole.
    region: str
    address_prefixes: tuple[str, ...]

    @cached_property
    def ranges(self) -> Ranges:
        return parse_ranges(self.address_prefixes)

    def as_resource(self) -> dict[str, Any]:
        """Return the entry as Resource Manager lists it, where numbers are strings.

        See platform.md#service-tag-api.
        """
        return {
            "name": self.name,
            "id": self.name,
            "serviceTagChangeNumber": self.change_number,
            "properties": {
                "changeNumber": self.change_number,
                "region": self.region,
                "state": "GA",
                "systemService": self.system_service,
                "addressPrefixes": list(self.address_prefixes),
            },
        }


@dataclass(slots=True)
class SimulatedServiceTags:
    """A version of Microsoft's list of service tags. Lookups by name ignore case."""

    change_number: str
    _by_name: dict[str, SimulatedServiceTag] = field(default_factory=dict)

    def add(self, tag: SimulatedServiceTag) -> None:
        self._by_name[tag.name.lower()] = tag

    def find(self, name: str) -> SimulatedServiceTag | None:
        """Return the entry with this name, such as `PowerPlatformPlex.westeurope`, or None."""
        return self._by_name.get(name.strip().lower())

    def __iter__(self) -> Iterator[SimulatedServiceTag]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def find_regional(self, service: str, region: str) -> SimulatedServiceTag | None:
        """Return the entry of a service tag for a region, or else that of the whole tag."""
        return self.find(f"{service}.{region}") or self.find(service)


def build_published_service_tags() -> SimulatedServiceTags:
    tags = SimulatedServiceTags(PUBLISHED_CHANGE_NUMBER)
    for service, regions in PUBLISHED_RANGES.items():
        entries = [
            SimulatedServiceTag(
                name=f"{service}.{region}",
                change_number=number,
                system_service=service,
                region=region.lower(),
                address_prefixes=tuple(prefixes.split()),
            )
            for region, (number, prefixes) in regions.items()
        ]
        tags.add(_build_whole_tag(service, entries))
        for entry in entries:
            tags.add(entry)
    return tags


def read_service_tags(path: Path) -> SimulatedServiceTags:
    """Read a downloaded `ServiceTags_Public_*.json`, in which numbers are integers.

    Raises `OSError` if the file cannot be read, and `ValueError` if it is not such a list. See
    platform.md#service-tag-file.
    """
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    try:
        tags = SimulatedServiceTags(str(document["changeNumber"]))
        for entry in document["values"]:
            properties = entry["properties"]
            tags.add(
                SimulatedServiceTag(
                    name=entry["name"],
                    change_number=str(properties["changeNumber"]),
                    system_service=properties["systemService"],
                    region=properties["region"],
                    address_prefixes=tuple(properties["addressPrefixes"]),
                )
            )
    except (KeyError, TypeError) as error:
        message = f"{path.name} is not a list of service tags as Microsoft publishes it"
        raise ValueError(message) from error
    return tags


def _build_whole_tag(service: str, regional: list[SimulatedServiceTag]) -> SimulatedServiceTag:
    prefixes = [prefix for entry in regional for prefix in entry.address_prefixes]
    return SimulatedServiceTag(
        name=service,
        change_number=max((entry.change_number for entry in regional), key=int),
        system_service=service,
        region="",
        address_prefixes=tuple(prefixes),
    )
