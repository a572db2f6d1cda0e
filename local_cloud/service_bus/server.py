"""Serve the namespace on 127.0.0.1 with one event loop, and commit once per turn of the loop."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from local_cloud.service_bus.amqp_connection import AmqpConnection
from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.namespace import Namespace
from local_cloud.service_bus.queue_model import Clock
from local_cloud.service_bus.queue_store import SqliteQueueStore

#: Every token is accepted, so no other machine may reach it.
HOST = "127.0.0.1"
# The clock of the queues may be moved, or set, while the loop sleeps.
_LONGEST_SLEEP_SECONDS = 5.0


class ServiceBusServer:
    """The server of a namespace. All its work is done on the event loop that opened it."""

    def __init__(self, namespace: Namespace, store: SqliteQueueStore, clock: Clock) -> None:
        self.namespace = namespace
        self.port = 0
        self._store = store
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._connections: deque[AmqpConnection] = deque()
        self._turn: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def listen(self, port: int) -> asyncio.Server:
        """Listen on *port*, or on a free one if it is 0. Raises `OSError` if the port is in use."""
        listener = await self._loop.create_server(
            lambda: AmqpConnection(self.namespace, self), HOST, port
        )
        self.port = int(listener.sockets[0].getsockname()[1])
        self.request_turn_end()
        return listener

    def add_connection(self, connection: AmqpConnection) -> None:
        self._connections.append(connection)

    def remove_connection(self, connection: AmqpConnection) -> None:
        self._connections.remove(connection)

    def request_turn_end(self) -> None:
        """Schedule the end of the turn, after all ready sockets have been read."""
        if self._turn is None:
            self._turn = self._loop.call_soon(self._complete_turn)

    def close(self) -> None:
        for handle in (self._turn, self._alarm):
            if handle is not None:
                handle.cancel()
        for connection in self._connections:
            connection.close()

    def _complete_turn(self) -> None:
        self._turn = None
        self.namespace.advance()
        self._deliver_messages()
        self._store.commit()  # before a byte goes out: a confirmed change is not lost
        now = self._loop.time()
        for connection in self._connections:
            connection.write(now)
        self._set_alarm()

    def _deliver_messages(self) -> None:
        """Send each link one message at a time. Each turn begins with a different connection."""
        self._connections.rotate(-1)
        links = [link for each in self._connections for link in each.list_delivering_links()]
        hungry = links
        while hungry:
            hungry = [link for link in hungry if link.deliver_one()]
        for link in links:
            link.finish_drain()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        now = self._loop.time()
        waits = [connection.compute_seconds_to_heartbeat(now) for connection in self._connections]
        next_change = self.namespace.find_next_change()
        if next_change is not None:
            waits.append((next_change - self._clock()).total_seconds())
        sleep = min(max(min(waits, default=math.inf), 0.0), _LONGEST_SLEEP_SECONDS)
        self._alarm = self._loop.call_later(sleep, self.request_turn_end)


@asynccontextmanager
async def open_server(
    queues: Sequence[QueueSettings], *, database: Path | None, port: int, clock: Clock
) -> AsyncIterator[ServiceBusServer]:
    """Serve *queues* until the block ends, then commit and close the database.

    Without a *database*, the messages are in memory. A *port* of 0 selects a free one.
    """
    store = SqliteQueueStore(database)
    try:
        server = ServiceBusServer(Namespace(queues, clock, store), store, clock)
        listener = await server.listen(port)
        try:
            yield server
        finally:
            listener.close()
            server.close()
            await listener.wait_closed()
    finally:
        store.close()
