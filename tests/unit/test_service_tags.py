import pytest

from shared.domain.network.service_tags import (
    AddressRangeChange,
    ServiceTag,
    ServiceTagList,
    list_tag_changes,
    parse_service_tags,
)

PLEX = "PowerPlatformPlex"


def build_list(**prefixes: str) -> ServiceTagList:
    """`whole` has the prefixes of the whole tag, each other argument those of a region."""
    return ServiceTagList(
        ServiceTag(
            name=PLEX if region == "whole" else f"{PLEX}.{region}", prefixes=tuple(listed.split())
        )
        for region, listed in prefixes.items()
    )


def build_change(region: str, added: str = "", removed: str = "") -> AddressRangeChange:
    return AddressRangeChange(
        tag=PLEX, region=region, added=tuple(added.split()), removed=tuple(removed.split())
    )


@pytest.mark.parametrize("number", [371, "371"], ids=["file", "API"])
def test_list_file_and_api_answer_are_parsed_alike(number: object) -> None:
    """The file has a number where the API has a text."""
    properties = {"addressPrefixes": ["20.61.88.128/26"], "networkFeatures": None}
    entry = {"name": "PowerPlatformPlex.WestEurope", "properties": properties}

    tags = parse_service_tags({"changeNumber": number, "values": [entry]})

    assert tags.change_number == 371
    assert tags.list_regions("powerplatformplex") == ("WestEurope",)
    found = tags.find("POWERPLATFORMPLEX.westeurope")
    assert found == ServiceTag(name="PowerPlatformPlex.WestEurope", prefixes=("20.61.88.128/26",))


@pytest.mark.parametrize("document", [None, [], {"values": []}, {"values": [{"name": "x"}]}, "x"])
def test_invalid_service_tag_list_raises_value_error(document: object) -> None:
    """If it were accepted, all tags would seem to have no addresses."""
    with pytest.raises(ValueError, match="no service tag list"):
        parse_service_tags(document)


def test_unreadable_tag_has_unknown_addresses_and_cannot_be_compared() -> None:
    """A tag without addresses needs no rule, so an unreadable one must not count as such."""
    broken = build_list(WestEurope="20.61.88.128/26 [parameters('more')]")

    assert broken.find_addresses(f"{PLEX}.WestEurope") is None
    with pytest.raises(ValueError, match=r"PowerPlatformPlex\.WestEurope"):
        list_tag_changes(build_list(WestEurope="20.61.88.128/26"), broken, PLEX)


def test_changes_list_published_prefixes_by_region() -> None:
    before = build_list(WestEurope="10.0.0.0/25 10.9.0.0/24", EastUS="10.3.0.0/24")
    after = build_list(WestEurope="10.0.0.0/24 10.1.0.0/24 10.1.1.0/24", ItalyNorth="fd00::/57")

    assert list_tag_changes(before, after, PLEX) == [
        build_change("EastUS", removed="10.3.0.0/24"),
        build_change("ItalyNorth", added="fd00::/57"),
        build_change(
            "WestEurope", added="10.0.0.128/25 10.1.0.0/24 10.1.1.0/24", removed="10.9.0.0/24"
        ),
    ]


def test_equal_addresses_in_other_prefixes_are_not_a_change() -> None:
    before = build_list(WestEurope="10.0.0.0/24 10.1.0.0/24")
    after = build_list(WestEurope="10.1.0.0/24 10.0.0.0/25 10.0.0.128/25")

    assert list_tag_changes(before, after, PLEX) == []


def test_changed_prefixes_in_no_region_are_listed_separately() -> None:
    before = build_list(whole="10.0.0.0/24 10.7.0.0/24", WestEurope="10.0.0.0/24")
    after = build_list(whole="10.0.0.0/23 10.8.0.0/16", WestEurope="10.0.0.0/23")

    assert list_tag_changes(before, after, PLEX) == [
        build_change("WestEurope", added="10.0.1.0/24"),
        build_change("", added="10.8.0.0/16", removed="10.7.0.0/24"),
    ]
