"""Give each test of a port both of its implementations."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.ports.sides import Side, side_of


@pytest.fixture(params=["fakes", "wire"])
async def side(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Side]:
    """Return a separate tenant for this test, with every port on it."""
    async with side_of(request.param, monkeypatch) as made:
        yield made
