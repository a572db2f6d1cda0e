"""The table of geographies: names, aliases and what it does not know."""

import pytest

from shared.domain.network.geographies import UnknownGeography, canonical, geographies, regions_of


def test_a_geography_names_its_regions() -> None:
    """Europe is two regions, whatever the letters."""
    assert regions_of("Europe") == ("NorthEurope", "WestEurope")


def test_longer_names_are_the_same_geography() -> None:
    """The admin API and the enterprise policy spell two of them differently."""
    assert regions_of("unitedkingdom") == regions_of("uk")
    assert canonical("United Kingdom") == "uk"


def test_an_unknown_geography_is_an_error_that_names_it() -> None:
    """Nobody takes it for one without regions."""
    with pytest.raises(UnknownGeography, match="atlantis"):
        regions_of("atlantis")


def test_every_location_of_a_policy_is_known() -> None:
    """All eighteen locations of contract §3 are in the table, each with a region."""
    assert len(geographies()) == 18
    assert all(regions_of(geography) for geography in geographies())
