import json
from pathlib import Path

import pytest

from shared.adapters.azure.service_tags import DownloadedServiceTags
from shared.errors import JobBlocked
from shared.reason import Reason

WEST = "PowerPlatformPlex.WestEurope"


def write_list(path: Path, number: int, *prefixes: str) -> None:
    entry = {"name": WEST, "properties": {"addressPrefixes": prefixes}}
    document = {"changeNumber": number, "values": [entry]}
    path.write_text(json.dumps(document), encoding="utf-8-sig")


async def test_replaced_list_is_read_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ServiceTags_Public.json"
    source = DownloadedServiceTags(path)
    write_list(path, 371, "20.1.0.0/24")
    before = await source.get_list()
    write_list(path, 376, "20.1.0.0/24", "20.2.0.0/24")
    after = await source.get_list()

    assert (before.change_number, after.change_number) == (371, 376)
    found = after.find(WEST)
    assert found is not None
    assert found.prefixes == ("20.1.0.0/24", "20.2.0.0/24")


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[" * 100_000])
async def test_invalid_file_blocks_the_job_with_a_fix(tmp_path: Path, content: str | None) -> None:
    """None of these errors may look like an empty list."""
    path = tmp_path / "ServiceTags_Public.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(JobBlocked) as caught:
        await DownloadedServiceTags(path).get_list()

    assert caught.value.code == Reason.SERVICE_TAG_LIST_UNREADABLE
    assert str(path) in str(caught.value)
    assert "CMK_SERVICE_TAGS_FILE" in caught.value.fix
