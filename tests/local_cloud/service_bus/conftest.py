from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from local_cloud.service_bus import PRODUCT_QUEUES, LocalServiceBus
from tests.fakes.clock import ManualClock
from tests.local_cloud.service_bus.queue_journal import MemoryJournal


@pytest.fixture(scope="module")
def bus() -> Iterator[LocalServiceBus]:
    with LocalServiceBus(PRODUCT_QUEUES) as bus:
        yield bus


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(bus: LocalServiceBus) -> AsyncIterator[ServiceBusClient]:
    connection_string = bus.connection_string
    # Without retries: the SDK would hide a refusal that it thinks will pass.
    async with ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()
