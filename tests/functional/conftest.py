import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from shared.logs.redaction import install_redaction
from tests.functional.cli.cli_app import CommandLine, serve_app


@pytest.fixture
async def cli() -> AsyncIterator[CommandLine]:
    """Yield the `cmkflow` command line, connected to an app that uses the services of the test."""
    async with serve_app() as served:
        yield served


@pytest.fixture
def redacting(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log with the redaction filter of the app."""
    factory = logging.getLogRecordFactory()
    install_redaction()
    caplog.set_level("DEBUG")
    yield
    logging.setLogRecordFactory(factory)
