from collections.abc import AsyncIterator

import pytest

from tests.local_cloud.tenant.tenant_world import TenantWorld, serve_tenant_world


@pytest.fixture
async def world() -> AsyncIterator[TenantWorld]:
    async with serve_tenant_world() as served:
        yield served
