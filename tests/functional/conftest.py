"""Fixtures for several folders of functional tests."""

from collections.abc import AsyncIterator

import pytest

from tests.functional.cli.cli_app import CommandLine, serve_app


@pytest.fixture
async def cli() -> AsyncIterator[CommandLine]:
    """The `cmkflow` command line, connected to the app with the services that the test provides."""
    async with serve_app() as served:
        yield served
