from collections.abc import AsyncIterator

import pytest

from tests.contract.ports.sides import Side, run_side


@pytest.fixture(params=["fakes", "wire"])
async def side(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Side]:
    async with run_side(request.param, monkeypatch) as made:
        yield made
