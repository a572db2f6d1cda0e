from collections.abc import AsyncIterator

import pytest

from tests.local_cloud.tenant.azure_world import AzureWorld, serve_azure_world


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        yield served
