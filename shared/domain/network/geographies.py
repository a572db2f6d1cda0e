"""Which Azure regions a Power Platform geography sends traffic from.

"All tags of the flow's Geo must be allow-listed regardless of target location"
(platform.md#geography-tags), and no API tells the regions of a geography. Their names do:
`GermanyWestCentral` is Germany, a point of the compass left out. So Microsoft's list of service
tags brings new regions by itself; what its names do not say stands in the tables here, the one
place to correct when a tenant says otherwise.
"""

import re
from collections.abc import Iterable

#: Where an enterprise policy can lie (platform.md#policy-regions).
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
#: The admin API's longer names for what an enterprise policy calls by the shorter one.
_ALIASES = {"unitedkingdom": "uk", "unitedarabemirates": "uae"}
#: What is left of a region's name where that is not the geography's.
_SHORT = {"us": "unitedstates", "africa": "southafrica"}
#: A geography that is a region of another one.
_INSIDE = {"singapore": "southeastasia"}
_COMPASS = "(?:north|south|east|west|central)+"
_NOT_THE_GEOGRAPHY = re.compile(rf"^{_COMPASS}|{_COMPASS}\d*$|\d+$")


def canonical(geography: str) -> str:
    """Return the name an enterprise policy uses for a geography, lower case."""
    name = geography.replace(" ", "").lower()
    return _ALIASES.get(name, name)


def geography_of(region: str) -> str:
    """Return the geography that a region's name tells: `EastUS2` lies in `unitedstates`."""
    name = _NOT_THE_GEOGRAPHY.sub("", region.lower())
    return _SHORT.get(name, name)


def regions_of(geography: str, regions: Iterable[str]) -> tuple[str, ...]:
    """Return those of the regions that belong to a geography, sorted; none: it is not known."""
    name = canonical(geography)
    inside = _INSIDE.get(name)
    return tuple(
        sorted(
            region
            for region in regions
            if (region.lower() == inside if inside else geography_of(region) == name)
        )
    )
