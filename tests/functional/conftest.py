"""What tests of several subjects stand on."""

from collections.abc import AsyncIterator

import pytest

from tests.functional.cli.cli_app import CommandLine, serve_app


@pytest.fixture
async def cli() -> AsyncIterator[CommandLine]:
    """The command line in front of the app: of the services that the test has provided."""
    async with serve_app() as served:
        yield served
