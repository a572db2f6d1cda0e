"""Test a file with Microsoft's list of service tags, used if Azure cannot be read."""

import json
from pathlib import Path

import pytest

from shared.adapters.azure.service_tags import DownloadedServiceTags
from shared.errors import JobBlocked
from shared.reason import Reason

WEST = "PowerPlatformPlex.WestEurope"


def put(path: Path, number: int, *prefixes: str) -> None:
    """Write a list in its downloaded form."""
    entry = {"name": WEST, "properties": {"addressPrefixes": prefixes}}
    document = {"changeNumber": number, "values": [entry]}
    path.write_text(json.dumps(document), encoding="utf-8-sig")


async def test_a_list_that_is_replaced_counts_at_the_next_look(tmp_path: Path) -> None:
    """The app needs no restart."""
    path = tmp_path / "ServiceTags_Public.json"
    source = DownloadedServiceTags(path)
    put(path, 371, "20.1.0.0/24")
    before = await source.get_list()
    put(path, 376, "20.1.0.0/24", "20.2.0.0/24")
    after = await source.get_list()

    assert (before.change_number, after.change_number) == (371, 376)
    found = after.find(WEST)
    assert found is not None
    assert found.prefixes == ("20.1.0.0/24", "20.2.0.0/24")


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[" * 100_000])
async def test_a_file_that_is_no_list_blocks_with_what_to_do(
    tmp_path: Path, content: str | None
) -> None:
    """A missing file, invalid JSON or another document is an error, and never an empty list."""
    path = tmp_path / "ServiceTags_Public.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(JobBlocked) as caught:
        await DownloadedServiceTags(path).get_list()

    assert caught.value.code == Reason.SERVICE_TAG_LIST_UNREADABLE
    assert str(path) in str(caught.value)
    assert "CMK_SERVICE_TAGS_FILE" in caught.value.fix
