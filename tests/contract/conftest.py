from collections.abc import AsyncIterator

import pytest

from tests.contract.adapter_world import Adapters, run_adapters


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        yield made
