"""`python -m local_cloud.tenant` runs the tenant in a separate process."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from local_cloud.tenant.serving.service_bus import ServiceBusPublisher


def main() -> None:
    """Serve until SIGTERM or SIGINT. Prints the tenant's addresses as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m local_cloud.tenant", description=__doc__)
    parser.add_argument("--seed", type=Path, help="a JSON file that describes the tenant")
    parser.add_argument("--service-bus", help="connection string of the bus that events go to")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve_tenant(arguments))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"tenant: {type(error).__name__}: {error}")


async def _serve_tenant(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tenant = Tenant()
    if arguments.seed is not None:
        seed(tenant, json.loads(await asyncio.to_thread(arguments.seed.read_text)))
    async with contextlib.AsyncExitStack() as stack:
        if arguments.service_bus:
            tenant.events = await stack.enter_async_context(
                ServiceBusPublisher(arguments.service_bus)
            )
        server = await stack.enter_async_context(TenantServer(tenant))
        ready = {
            "proxy": server.proxy_url,
            "ca_file": server.ca_file,
            "control": server.control_url,
            "identity_endpoint": server.identity_endpoint,
            "identity_header": server.identity_header,
        }
        print(json.dumps(ready), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    main()
