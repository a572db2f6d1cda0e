"""Find the Azure regions from which flows of a Power Platform geography send requests.

Microsoft requires firewalls to allow the tags of all regions of the flow's geography, wherever the
host is (platform.md#geography-tags), and no API returns the regions of a geography. The names of
regions show them: `GermanyWestCentral` without the compass point is Germany. New regions in
Microsoft's service tag list are therefore found automatically. Names that follow no such rule are
in the tables of this module.
"""

import re
from collections.abc import Iterable

#: Possible locations of an enterprise policy (platform.md#policy-regions).
GEOGRAPHIES = frozenset(
    {
        "asia",
        "australia",
        "brazil",
        "canada",
        "europe",
        "france",
        "germany",
        "india",
        "japan",
        "korea",
        "norway",
        "singapore",
        "southafrica",
        "sweden",
        "switzerland",
        "uae",
        "uk",
        "unitedstates",
    }
)
#: Longer names in the admin API, and the shorter ones in enterprise policies.
_ALIASES = {"unitedkingdom": "uk", "unitedarabemirates": "uae"}
#: Names of regions, without compass points, that differ from their geography.
_SHORT = {"us": "unitedstates", "africa": "southafrica"}
#: A geography that is one region of another geography.
_REGION_OF = {"singapore": "southeastasia"}
_COMPASS = "(?:north|south|east|west|central)+"
_NOT_THE_GEOGRAPHY = re.compile(rf"^{_COMPASS}|{_COMPASS}\d*$|\d+$")


def normalize_geography(geography: str) -> str:
    """Return a geography's name as enterprise policies write it, in lower case."""
    name = geography.replace(" ", "").lower()
    return _ALIASES.get(name, name)


def find_geography(region: str) -> str:
    """Return the geography of a region from its name: `EastUS2` is in `unitedstates`."""
    name = _NOT_THE_GEOGRAPHY.sub("", region.lower())
    return _SHORT.get(name, name)


def list_regions_of_geography(geography: str, regions: Iterable[str]) -> tuple[str, ...]:
    """Return which of these regions belong to a geography, sorted.

    Returns none for an unknown geography.
    """
    name = normalize_geography(geography)
    inside = _REGION_OF.get(name)
    return tuple(
        sorted(
            region
            for region in regions
            if (region.lower() == inside if inside else find_geography(region) == name)
        )
    )
