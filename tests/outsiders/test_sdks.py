"""Microsoft's SDKs, each in a process of its own that knows nothing of this project."""

import json
from pathlib import Path

import pytest

from tests.outsiders.documented import hold_document_to
from tests.outsiders.outsiders import INSTALLED, needs_outsiders, outsiders_world

CLIENTS = Path(__file__).with_name("clients")


@needs_outsiders
@pytest.mark.parametrize(
    ("script", "client"),
    [
        ("azure_sdks.py", "SDKs for Azure"),
        ("powerplatform_management.py", "Power Platform Management SDK"),
    ],
)
async def test_every_call_works(
    tmp_path: Path, subtests: pytest.Subtests, script: str, client: str
) -> None:
    """Or is refused in a document that the SDK can read."""
    async with outsiders_world(tmp_path) as world:
        told = await world.run(INSTALLED / "bin" / "python", CLIENTS / script)
        assert world.server.refused_hosts == []
    assert told.code == 0, told.errors
    document = json.loads(told.output)
    rows = [(name, answer) for name, answer in document["told"]]
    for name, answer in rows:
        with subtests.test(name):
            assert not answer.startswith("fails")
    hold_document_to(client, ", ".join(document["versions"]), rows)
