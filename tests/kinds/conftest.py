"""Fixtures for the tests of a single kind."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.adapter_world import Adapters, run_adapters
from tests.functional.callers.called_tenant import Tenant


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        yield made


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant of fakes with an original, its copy and no callers."""
    return Tenant()
