import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from local_cloud.functions_host.app_functions import Function, QueueTrigger
from local_cloud.functions_host.queue_listener import ListenerLimits, QueueListener
from local_cloud.functions_host.worker import Invocation, InvocationOutcome, Worker
from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.local_service_bus import LocalServiceBus
from tests.local_cloud.functions_host.functions_host_process import wait_until


class _GatedWorker(Worker):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.bodies: list[str] = []

    async def invoke(self, invocation: Invocation) -> InvocationOutcome:
        self.bodies.append(invocation.data.string)
        await self.gate.wait()
        return InvocationOutcome(succeeded=True)


@contextlib.asynccontextmanager
async def _listen(
    bus: LocalServiceBus, worker: Worker, limits: ListenerLimits
) -> AsyncIterator[QueueListener]:
    trigger = QueueTrigger(
        queue_name="orders", connection_string=bus.connection_string, is_binary=False
    )
    function = Function(id="1", name="on_order", parameter="message", trigger=trigger)
    listener = QueueListener(function, trigger, worker, limits)
    stop = asyncio.Event()
    running = asyncio.create_task(listener.run(stop))
    yield listener
    stop.set()
    await running


async def test_receivers_are_added_for_a_burst_and_closed_after_it() -> None:
    limits = ListenerLimits(concurrent_calls=3, lock_renewal=None, idle=timedelta(milliseconds=500))
    worker = _GatedWorker()
    with LocalServiceBus([QueueSettings(name="orders")]) as bus:
        async with (
            _listen(bus, worker, limits) as listener,
            ServiceBusClient.from_connection_string(bus.connection_string) as client,
            client.get_queue_sender("orders") as sender,
        ):
            assert listener.lane_count == 1
            await sender.send_messages([ServiceBusMessage(str(number)) for number in range(4)])
            await wait_until(lambda: len(worker.bodies) == 3)
            assert (listener.lane_count, bus.count_messages("orders").active) == (3, 1)

            worker.gate.set()
            await wait_until(lambda: listener.lane_count == 1)
            await sender.send_messages(ServiceBusMessage("after the quiet"))
            await wait_until(
                lambda: (
                    bus.count_messages("orders").active + bus.count_messages("orders").locked == 0
                )
            )

    assert worker.bodies == ["0", "1", "2", "3", "after the quiet"]
