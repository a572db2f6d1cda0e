from collections.abc import AsyncIterator

import pytest

from tests.functional.cli.cli_app import CommandLine, serve_app


@pytest.fixture
async def cli() -> AsyncIterator[CommandLine]:
    """Yield the `cmkflow` command line, connected to an app that uses the services of the test."""
    async with serve_app() as served:
        yield served
