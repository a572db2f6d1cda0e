"""Gives each test of a port both implementations of it."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.ports.sides import Side, side_of


@pytest.fixture(params=["fakes", "wire"])
async def side(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Side]:
    """Give a tenant of this test's own, and every port onto it."""
    async with side_of(request.param, monkeypatch) as made:
        yield made
