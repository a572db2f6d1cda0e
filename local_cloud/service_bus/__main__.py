"""`python -m local_cloud.service_bus` runs the service in a separate process."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from local_cloud.service_bus.configuration import (
    PRODUCT_QUEUES,
    InvalidConfiguration,
    read_configuration,
)
from local_cloud.service_bus.local_service_bus import get_utc_now
from local_cloud.service_bus.server import HOST, open_server


def main() -> None:
    """Serve until SIGTERM or SIGINT. Prints the address as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m local_cloud.service_bus", description=__doc__)
    parser.add_argument("--config", type=Path, default=PRODUCT_QUEUES, help="a Config.json")
    parser.add_argument("--database", type=Path, help="a SQLite file; without: in memory")
    parser.add_argument("--port", type=int, default=5672, help="0 takes a free port")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve_bus(arguments))
    except (InvalidConfiguration, OSError) as error:
        sys.exit(f"service bus: {error}")


async def _serve_bus(arguments: argparse.Namespace) -> None:
    queues = read_configuration(arguments.config)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_server(
        queues, database=arguments.database, port=arguments.port, clock=get_utc_now
    ) as server:
        print(json.dumps({"listening": f"{HOST}:{server.port}"}), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    main()
