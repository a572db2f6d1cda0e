"""Which Azure regions a Power Platform geography sends traffic from.

"All tags of the flow's Geo must be allow-listed regardless of target location" (contract §9.1), and
no API tells the regions of a geography: hence this table (§9.3). Its regions are those for which
the service tag `PowerPlatformPlex` has a regional entry. It is the one place to correct when a
real tenant or Microsoft's list says otherwise.
"""

#: Geography → suffixes of regional service tags, as Microsoft's tag file spells them.
_REGIONS: dict[str, tuple[str, ...]] = {
    "asia": ("EastAsia", "SoutheastAsia"),
    "australia": ("AustraliaEast", "AustraliaSoutheast"),
    "brazil": ("BrazilSouth", "BrazilSoutheast"),
    "canada": ("CanadaCentral", "CanadaEast"),
    "europe": ("NorthEurope", "WestEurope"),
    "france": ("FranceCentral", "FranceSouth"),
    "germany": ("GermanyNorth", "GermanyWestCentral"),
    "india": ("CentralIndia", "SouthIndia"),
    "japan": ("JapanEast", "JapanWest"),
    "korea": ("KoreaCentral", "KoreaSouth"),
    "norway": ("NorwayEast", "NorwayWest"),
    "singapore": ("SoutheastAsia",),
    "southafrica": ("SouthAfricaNorth", "SouthAfricaWest"),
    "sweden": ("SwedenCentral",),
    "switzerland": ("SwitzerlandNorth", "SwitzerlandWest"),
    "uae": ("UAECentral", "UAENorth"),
    "uk": ("UKSouth", "UKWest"),
    "unitedstates": ("CentralUS", "EastUS", "EastUS2", "SouthCentralUS", "WestUS"),
}
#: The admin API's longer names for what an enterprise policy calls by the shorter one.
_ALIASES = {"unitedkingdom": "uk", "unitedarabemirates": "uae"}


class UnknownGeography(ValueError):
    """A geography that the table of regions does not hold."""

    def __init__(self, geography: str) -> None:
        """`geography` is the name as the platform gave it."""
        super().__init__(
            f"The regions of the geography '{geography}' are not known: add it to"
            " shared/domain/network/geographies.py"
        )
        self.geography = geography


def canonical(geography: str) -> str:
    """Return the name an enterprise policy uses for a geography, lower case."""
    name = geography.replace(" ", "").lower()
    return _ALIASES.get(name, name)


def geographies() -> tuple[str, ...]:
    """Return every geography an enterprise policy can lie in (contract §3)."""
    return tuple(_REGIONS)


def regions_of(geography: str) -> tuple[str, ...]:
    """Return the tag suffixes of a geography's regions; raises `UnknownGeography`."""
    regions = _REGIONS.get(canonical(geography))
    if regions is None:
        raise UnknownGeography(geography)
    return regions
