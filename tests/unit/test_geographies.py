import json
import os
from pathlib import Path

import pytest

from shared.domain.network.geographies import (
    GEOGRAPHIES,
    find_geography,
    list_regions_of_geography,
    normalize_geography,
)
from shared.domain.network.network_check import PROTECTED_TAG
from shared.domain.network.service_tags import parse_service_tags

#: Every region of the tag in Microsoft's list of November 2025, by its geography.
REGIONS = {
    "asia": "EastAsia SoutheastAsia",
    "australia": "AustraliaEast AustraliaSoutheast",
    "brazil": "BrazilSouth BrazilSoutheast",
    "canada": "CanadaCentral CanadaEast",
    "europe": "NorthEurope WestEurope",
    "france": "FranceCentral FranceSouth",
    "germany": "GermanyNorth GermanyWestCentral",
    "india": "CentralIndia SouthIndia",
    "indonesia": "IndonesiaCentral",
    "israel": "IsraelCentral",
    "italy": "ItalyNorth",
    "japan": "JapanEast JapanWest",
    "korea": "KoreaCentral KoreaSouth",
    "newzealand": "NewZealandNorth",
    "norway": "NorwayEast NorwayWest",
    "poland": "PolandCentral",
    "qatar": "QatarCentral",
    "southafrica": "SouthAfricaNorth SouthAfricaWest",
    "spain": "SpainCentral",
    "sweden": "SwedenCentral",
    "switzerland": "SwitzerlandNorth SwitzerlandWest",
    "uae": "UAECentral UAENorth",
    "uk": "UKSouth UKWest",
    "unitedstates": "CentralUS EastUS EastUS2 SouthCentralUS WestUS",
}
LISTED = [region for regions in REGIONS.values() for region in regions.split()]


@pytest.mark.parametrize("geography", REGIONS)
def test_regions_of_returns_regions_named_after_the_geography(geography: str) -> None:
    regions = tuple(REGIONS[geography].split())

    assert list_regions_of_geography(geography, LISTED) == regions
    assert list_regions_of_geography(geography.upper(), [one.lower() for one in LISTED]) == tuple(
        region.lower() for region in regions
    )


def test_a_new_region_needs_no_line_of_code() -> None:
    """Microsoft may add regions and geographies to its list."""
    more = [*LISTED, "SwedenSouth", "EastUS3", "BelgiumCentral"]

    assert list_regions_of_geography("sweden", more) == ("SwedenCentral", "SwedenSouth")
    assert "EastUS3" in list_regions_of_geography("unitedstates", more)
    assert list_regions_of_geography("belgium", more) == ("BelgiumCentral",)
    assert find_geography("CentralUSEUAP") not in GEOGRAPHIES  # of Microsoft's own tests


def test_geography_inside_another_geography_has_its_own_region() -> None:
    """Singapore's region SoutheastAsia also belongs to the geography Asia."""
    assert list_regions_of_geography("singapore", LISTED) == ("SoutheastAsia",)


def test_long_and_short_names_of_a_geography_are_equal() -> None:
    """The admin API and the enterprise policy spell some geographies differently."""
    assert list_regions_of_geography("United Kingdom", LISTED) == list_regions_of_geography(
        "uk", LISTED
    )
    assert normalize_geography("unitedarabemirates") == "uae"


def test_an_unknown_geography_has_no_region() -> None:
    assert list_regions_of_geography("atlantis", LISTED) == ()
    assert list_regions_of_geography("", LISTED) == ()


def test_every_location_of_a_policy_has_regions() -> None:
    """See platform.md#policy-regions."""
    assert len(GEOGRAPHIES) == 18
    assert [one for one in GEOGRAPHIES if not list_regions_of_geography(one, LISTED)] == []


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_listed_regions_equal_microsofts_list() -> None:
    [path] = Path(os.environ["FLOW_CORPUS"], "servicetags").glob("ServiceTags_Public_*.json")
    tags = parse_service_tags(json.loads(path.read_bytes()))

    assert len(LISTED) == 43
    assert sorted(tags.list_regions(PROTECTED_TAG)) == sorted(LISTED)
