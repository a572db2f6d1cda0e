"""Microsoft's list of service tags, as it is written, and the difference of two editions."""

import pytest

from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTag,
    ServiceTagList,
    changes,
    read_service_tags,
)

PLEX = "PowerPlatformPlex"


def a_list(**prefixes: str) -> ServiceTagList:
    """Return a list of the tag as a whole (`whole`) and its regions; spaces part prefixes."""
    return ServiceTagList(
        ServiceTag(
            name=PLEX if region == "whole" else f"{PLEX}.{region}", prefixes=tuple(listed.split())
        )
        for region, listed in prefixes.items()
    )


def a_change(region: str, added: str = "", removed: str = "") -> AddressRangeChange:
    """Return what changed in a region."""
    return AddressRangeChange(
        tag=PLEX, region=region, added=tuple(added.split()), removed=tuple(removed.split())
    )


@pytest.mark.parametrize("number", [371, "371"], ids=["file", "API"])
def test_the_file_and_the_answer_of_the_api_read_alike(number: object) -> None:
    """Numbers are numbers in one and texts in the other; features may be null."""
    properties = {"addressPrefixes": ["20.61.88.128/26"], "networkFeatures": None}
    entry = {"name": "PowerPlatformPlex.WestEurope", "properties": properties}

    tags = read_service_tags({"changeNumber": number, "values": [entry]})

    assert tags.change_number == 371
    assert tags.regions("powerplatformplex") == ("WestEurope",)
    found = tags.find("POWERPLATFORMPLEX.westeurope")
    assert found == ServiceTag(name="PowerPlatformPlex.WestEurope", prefixes=("20.61.88.128/26",))


@pytest.mark.parametrize("document", [None, [], {"values": []}, {"values": [{"name": "x"}]}, "x"])
def test_what_is_no_list_of_service_tags_is_refused(document: object) -> None:
    """Else each tag would seem to have no addresses."""
    with pytest.raises(ValueError, match="no service tag list"):
        read_service_tags(document)


def test_a_tag_that_cannot_be_read_has_no_addresses_and_no_difference() -> None:
    """Nobody takes it for one that is empty."""
    broken = a_list(WestEurope="20.61.88.128/26 [parameters('more')]")

    assert broken.addresses(f"{PLEX}.WestEurope") is None
    with pytest.raises(ValueError, match=r"PowerPlatformPlex\.WestEurope"):
        changes(a_list(WestEurope="20.61.88.128/26"), broken, PLEX)


def test_prefixes_are_told_region_by_region_as_they_are_published() -> None:
    """Neighbours stay apart, and only that part of a prefix is new which was not there before."""
    before = a_list(WestEurope="10.0.0.0/25 10.9.0.0/24", EastUS="10.3.0.0/24")
    after = a_list(WestEurope="10.0.0.0/24 10.1.0.0/24 10.1.1.0/24", ItalyNorth="fd00::/57")

    assert changes(before, after, PLEX) == [
        a_change("EastUS", removed="10.3.0.0/24"),
        a_change("ItalyNorth", added="fd00::/57"),
        a_change(
            "WestEurope", added="10.0.0.128/25 10.1.0.0/24 10.1.1.0/24", removed="10.9.0.0/24"
        ),
    ]


def test_another_way_to_write_the_same_addresses_is_no_change() -> None:
    """Halves, and another order."""
    before = a_list(WestEurope="10.0.0.0/24 10.1.0.0/24")
    after = a_list(WestEurope="10.1.0.0/24 10.0.0.0/25 10.0.0.128/25")

    assert changes(before, after, PLEX) == []


def test_what_the_tag_has_in_no_region_is_told_apart() -> None:
    """A prefix of the tag as a whole that no region has; what a region explains is told once."""
    before = a_list(whole="10.0.0.0/24 10.7.0.0/24", WestEurope="10.0.0.0/24")
    after = a_list(whole="10.0.0.0/23 10.8.0.0/16", WestEurope="10.0.0.0/23")

    assert changes(before, after, PLEX) == [
        a_change("WestEurope", added="10.0.1.0/24"),
        a_change("", added="10.8.0.0/16", removed="10.7.0.0/24"),
    ]
