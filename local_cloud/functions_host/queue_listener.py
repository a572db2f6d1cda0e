"""Run functions for messages of Service Bus: receive, run the function, settle.

A listener works in lanes. A lane is one receiver, which handles one message after another. Messages
cannot share a connection: the SDK reads and writes with one lock, so a settlement would wait for a
receive. If all lanes are busy, three more open for each open lane, up to the limit. The real
extension starts with the limit at once, because it requests many messages over one connection.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from local_cloud.functions_host.app_functions import Function, QueueTrigger
from local_cloud.functions_host.message_data import (
    build_message_data,
    build_message_metadata,
    convert_application_properties,
)
from local_cloud.functions_host.worker import Invocation, Worker

_LOGGER = logging.getLogger("host.service_bus")
#: Wait between tries to reach the broker.
_RETRY = 1.0
#: Lanes that open for each one that is open. Opening one takes up to half a second.
_MORE = 3
#: How long a message's return may take when the host stops in the middle of its work.
_RELEASE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    #: Messages in work at a time.
    concurrent_calls: int
    #: How long a lock is renewed; None without end.
    lock_renewal: timedelta | None
    #: A lane that gets no message for this long closes, unless it is the last one waiting.
    idle: timedelta = timedelta(seconds=30)


class QueueListener:
    def __init__(
        self, function: Function, trigger: QueueTrigger, worker: Worker, limits: ListenerLimits
    ) -> None:
        self._function = function
        self._trigger = trigger
        self._worker = worker
        self._limits = limits
        #: The client would read all certificates again for each lane, also without TLS.
        self._certificates = ssl.create_default_context()
        self._lanes: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    @property
    def lane_count(self) -> int:
        return len(self._lanes)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set, then wait for the invocations in progress.

        If this wait is cancelled, their messages are abandoned, so that they are delivered again.
        """
        self._open_lanes()
        try:
            await stop.wait()
            self._is_stopping = True
            for lane in self._waiting:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)
        except asyncio.CancelledError:
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)
            raise

    def _open_lanes(self) -> None:
        if self._waiting or self._is_stopping:
            return
        room = self._limits.concurrent_calls - len(self._lanes)
        for _ in range(min(room, max(1, _MORE * len(self._lanes)))):
            lane = asyncio.create_task(self._run_lane())
            self._lanes.add(lane)
            # From the start, so that only a burst that takes them all opens more.
            self._waiting.add(lane)
            lane.add_done_callback(self._close_lane)

    def _close_lane(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        self._waiting.discard(lane)
        if not lane.cancelled() and (error := lane.exception()):
            _LOGGER.error("lane failed", exc_info=error, extra=self._build_log_fields())
            asyncio.get_running_loop().call_later(_RETRY, self._open_lanes)
        else:
            self._open_lanes()

    async def _run_lane(self) -> None:
        while not self._is_stopping:
            try:
                async with (
                    ServiceBusClient.from_connection_string(
                        self._trigger.connection_string,
                        retry_total=0,
                        ssl_context=self._certificates,
                    ) as client,
                    client.get_queue_receiver(self._trigger.queue_name) as receiver,
                ):
                    await self._serve_lane(receiver)
                    return
            except (ServiceBusError, OSError) as err:
                _LOGGER.warning(
                    "queue not reachable, trying again",
                    extra=self._build_log_fields() | {"failure": f"{type(err).__name__}: {err}"},
                )
            await asyncio.sleep(_RETRY)

    async def _serve_lane(self, receiver: ServiceBusReceiver) -> None:
        lane = asyncio.current_task()
        assert lane is not None
        while not self._is_stopping:
            self._waiting.add(lane)
            messages = await receiver.receive_messages(
                max_message_count=1, max_wait_time=self._limits.idle.total_seconds()
            )
            if messages:
                self._waiting.discard(lane)
                self._open_lanes()
                for message in messages:
                    await self._handle_message(receiver, message)
            elif len(self._waiting) > 1:
                # At once, lest two lanes leave for each other's sake while they close.
                self._waiting.discard(lane)
                return

    async def _handle_message(
        self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage
    ) -> None:
        finished = asyncio.Event()
        renewal = asyncio.create_task(self._renew_lock(receiver, message, finished))
        diagnostic_id = convert_application_properties(message).get("Diagnostic-Id")
        succeeded = False
        try:
            outcome = await self._worker.invoke(
                Invocation(
                    function=self._function,
                    data=build_message_data(message, is_binary=self._trigger.is_binary),
                    metadata=build_message_metadata(message),
                    caused_by=str(diagnostic_id) if diagnostic_id else None,
                )
            )
            succeeded = outcome.succeeded
            if outcome.is_last:
                # Not settled: the message comes back when its lock has run out.
                await asyncio.get_running_loop().create_future()
        finally:
            # Never cancelled in the middle of its request: the connection carries on.
            finished.set()
            async with asyncio.timeout(_RELEASE if self._is_stopping else None):
                await renewal
                await self._settle_message(receiver, message, succeeded=succeeded)

    async def _settle_message(
        self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, *, succeeded: bool
    ) -> None:
        try:
            if succeeded:
                await receiver.complete_message(message)
            else:
                await receiver.abandon_message(message)
        except ServiceBusError as err:
            fields = self._build_log_fields() | {
                "message_id": message.message_id,
                "failure": str(err),
            }
            _LOGGER.warning("message not settled, it will be delivered again", extra=fields)

    async def _renew_lock(
        self,
        receiver: ServiceBusReceiver,
        message: ServiceBusReceivedMessage,
        finished: asyncio.Event,
    ) -> None:
        started = datetime.now(UTC)
        limit = self._limits.lock_renewal
        while (locked_until := message.locked_until_utc) is not None:
            now = datetime.now(UTC)
            if limit is not None and now - started > limit:
                _LOGGER.warning("lock no longer renewed", extra=self._build_log_fields())
                return
            wait = max((locked_until - now).total_seconds() / 2, 0.0)
            try:
                async with asyncio.timeout(wait):
                    await finished.wait()
                return
            except TimeoutError:
                pass  # the function still runs
            try:
                await receiver.renew_message_lock(message)
            except ServiceBusError as err:
                fields = self._build_log_fields() | {"failure": f"{type(err).__name__}: {err}"}
                _LOGGER.warning("lock not renewed", extra=fields)
                return

    def _build_log_fields(self) -> dict[str, object]:
        return {"function": self._function.name, "queue": self._trigger.queue_name}
