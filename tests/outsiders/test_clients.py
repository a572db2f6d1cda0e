"""Clients in Python, each in a process of its own that knows nothing of this project."""

import json
import sys
from pathlib import Path

import pytest

from tests.outsiders.documented import hold_document_to
from tests.outsiders.outsiders import INSTALLED, needs_outsiders, outsiders_world

CLIENTS = Path(__file__).with_name("clients")


async def judge(client: str, python: Path, script: str, tests: pytest.Subtests) -> None:
    """Let a client make its calls: each works, or is refused in a document that it can read."""
    async with outsiders_world() as world:
        told = await world.run(python, CLIENTS / script)
        assert world.server.refused_hosts == []
    assert told.code == 0, told.errors
    document = json.loads(told.output)
    rows = [(name, answer) for name, answer in document["told"]]
    for name, answer in rows:
        with tests.test(name):
            assert not answer.startswith("fails")
    hold_document_to(client, document["about"], rows)


@needs_outsiders
@pytest.mark.parametrize(
    ("script", "client"),
    [
        ("azure_sdks.py", "SDKs for Azure"),
        ("powerplatform_management.py", "Power Platform Management SDK"),
    ],
)
async def test_sdks_of_microsoft(subtests: pytest.Subtests, script: str, client: str) -> None:
    """As their registry brings them."""
    await judge(client, INSTALLED / "bin" / "python", script, subtests)


async def test_scripts_for_enterprise_policies(subtests: pytest.Subtests) -> None:
    """Played by the standard library, so this needs nothing that is not there."""
    client = "Microsoft's scripts for enterprise policies"
    await judge(client, Path(sys.executable), "enterprise_policy_scripts.py", subtests)
