"""Run the service on a separate thread, for tests and for a local cloud in one process."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from local_cloud.service_bus.configuration import QueueSettings, read_configuration
from local_cloud.service_bus.queue_messages import QueueCounts
from local_cloud.service_bus.queue_model import Clock
from local_cloud.service_bus.server import ServiceBusServer, open_server


def get_utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def build_connection_string(port: int) -> str:
    return (
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=local;SharedAccessKey=local;"
        "UseDevelopmentEmulator=true;"
    )


class LocalServiceBus:
    """Serves queues on 127.0.0.1 while its `with` block runs. The block can be entered once.

    *queues* is a configuration file, or the settings of each queue. Without a *database*, the
    messages are in memory. A *port* of 0 selects a free one.
    """

    def __init__(
        self,
        queues: Path | Sequence[QueueSettings],
        database: Path | None = None,
        *,
        port: int = 0,
        clock: Clock = get_utc_now,
    ) -> None:
        self._queues = read_configuration(queues) if isinstance(queues, Path) else queues
        self._database = database
        self._wanted_port = port
        self._clock = clock
        self._server: Future[ServiceBusServer] = Future()
        self._thread = Thread(target=self._run_loop, name="service-bus")

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._server.result()
        except OSError:
            self._thread.join()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.result().port

    @property
    def connection_string(self) -> str:
        return build_connection_string(self.port)

    def count_messages(self, queue: str) -> QueueCounts:
        """Return the numbers of messages in *queue*.

        Raises `EntityNotFound` if there is no such queue.
        """

        async def count() -> QueueCounts:
            return self._server.result().namespace.get_queue(queue).count_messages()

        return asyncio.run_coroutine_threadsafe(count(), self._loop).result()

    def apply_clock_change(self) -> None:
        """Apply the effects of time at once, after a test has moved the clock."""
        self._loop.call_soon_threadsafe(self._server.result().request_turn_end)

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._serve_client())
        except OSError as error:
            self._server.set_exception(error)
        finally:
            self._server.cancel()  # so that nobody waits for a start that has failed

    async def _serve_client(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with open_server(
            self._queues, database=self._database, port=self._wanted_port, clock=self._clock
        ) as server:
            self._server.set_result(server)
            await self._stopped.wait()
