import asyncio
import gc
import itertools
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

from local_cloud.service_bus.local_service_bus import build_connection_string

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
QUEUE = "flow-jobs"


class ServiceBusProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())["listening"]
        self.connection_string = build_connection_string(int(listening.rpartition(":")[2]))
        self._process = process

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout=20)


@contextmanager
def run_service_bus(database: Path) -> Iterator[ServiceBusProcess]:
    command = [sys.executable, "-m", "local_cloud.service_bus"]
    options = ["--port", "0", "--database", str(database)]
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield ServiceBusProcess(process)
        finally:
            process.kill()


@asynccontextmanager
async def open_client(process: ServiceBusProcess) -> AsyncIterator[ServiceBusClient]:
    async with ServiceBusClient.from_connection_string(
        process.connection_string, retry_total=0
    ) as client:
        yield client


async def receive_all(
    process: ServiceBusProcess, sub_queue: ServiceBusSubQueue | None = None
) -> dict[str, int]:
    found: dict[str, int] = {}
    async with (
        open_client(process) as client,
        client.get_queue_receiver(QUEUE, sub_queue=sub_queue) as receiver,
    ):
        while messages := await receiver.receive_messages(100, max_wait_time=1):
            for message in messages:
                found[str(message)] = message.delivery_count or 0
                await receiver.complete_message(message)
    return found


async def test_settlements_and_messages_survive_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "queues.db"
    later = datetime.now(UTC) + timedelta(days=1)
    with run_service_bus(database) as process:
        async with (
            open_client(process) as client,
            client.get_queue_sender(QUEUE) as sender,
            client.get_queue_receiver(QUEUE) as receiver,
        ):
            bodies = ["completed", "abandoned", "dead", "locked", "untouched"]
            await sender.send_messages([ServiceBusMessage(b, message_id=b) for b in bodies])
            [number] = await sender.schedule_messages(ServiceBusMessage("later"), later)
            completed, abandoned, dead, _ = await receiver.receive_messages(4, max_wait_time=5)
            await receiver.complete_message(completed)
            await receiver.abandon_message(abandoned)
            await receiver.dead_letter_message(dead, reason="unreadable")
            process.kill()

    with run_service_bus(database) as process:
        async with open_client(process) as client, client.get_queue_sender(QUEUE) as sender:
            await sender.send_messages(ServiceBusMessage("again", message_id="completed"))
            await sender.cancel_scheduled_messages(number)
        active = await receive_all(process)
        dead_letters = await receive_all(process, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    assert active == {"abandoned": 1, "locked": 0, "untouched": 0}
    assert dead_letters == {"dead": 0}


# The SDK does not close its socket when the other end has died under it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_accepted_messages_survive_a_kill_during_sending(
    tmp_path: Path,
) -> None:
    database = tmp_path / "queues.db"
    accepted: list[str] = []

    async def send_until_it_dies(process: ServiceBusProcess) -> None:
        async with open_client(process) as client, client.get_queue_sender(QUEUE) as sender:
            for number in itertools.count():
                if number == 300:
                    asyncio.get_running_loop().call_later(0.05, process.kill)
                body = str(number)
                await sender.send_messages(ServiceBusMessage(body, message_id=body))
                accepted.append(body)

    with run_service_bus(database) as process, pytest.raises((ServiceBusError, OSError)):
        await send_until_it_dies(process)
    gc.collect()  # that socket, while its warning is awaited

    with run_service_bus(database) as process:
        found = await receive_all(process)
    assert len(accepted) >= 300
    # One more may have been kept than its sender heard of, never one fewer.
    assert set(accepted) <= set(found)
    assert len(found) <= len(accepted) + 1


def test_terminated_process_exits_cleanly_with_one_database_file(tmp_path: Path) -> None:
    database = tmp_path / "queues.db"
    with run_service_bus(database) as process:
        code = process.terminate()

    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["queues.db"]
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_invalid_configuration_stops_the_start_with_an_error(tmp_path: Path) -> None:
    config = tmp_path / "Config.json"
    config.write_text('{"UserConfig": {"Namespaces": []}}')

    outcome = subprocess.run(
        [sys.executable, "-m", "local_cloud.service_bus", "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert str(config) in outcome.stderr
    assert "Traceback" not in outcome.stderr
