"""Build the adapters for all ports. In the app, no other package imports adapter classes.

Adapters are imported when they are built, so that an app start that only indexes functions does not
import the SDKs.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

from shared.bootstrap.core_services import build_archive, build_core_services, build_message_sender
from shared.bootstrap.microsoft_services import MicrosoftServices
from shared.bootstrap.notification_channels import build_channels
from shared.services import Services, map_platform_ports
from shared.settings import Settings

#: One per event loop, because connections belong to a loop. An app has one loop.
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Services] = WeakKeyDictionary()
#: A loop holds only weak references to its tasks.
_closers: set[asyncio.Task[None]] = set()


def services() -> Services:
    """Return the services of the running event loop.

    The first call in a loop builds them from the app's settings.
    """
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        closing = AsyncExitStack()
        try:
            _by_loop[loop] = build_services(Settings(), closing)
        except Exception:
            _start_closer(closing.aclose())
            raise
        _start_closer(_close_with_loop(closing))
    return _by_loop[loop]


def _start_closer(closer: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(closer, name="close services")
    _closers.add(task)
    task.add_done_callback(_closers.discard)


async def _close_with_loop(closing: AsyncExitStack) -> None:
    """Close the resources in `closing` when the event loop ends.

    The worker has no shutdown hook, but its loop runs in `asyncio.run`, which cancels every task
    and waits for it. A killed process closes nothing, and nothing depends on that.
    """
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await closing.aclose()


def provide(provided: Services) -> None:
    """Make `services()` return these services in the running event loop."""
    _by_loop[asyncio.get_running_loop()] = provided


def build_services(settings: Settings, closing: AsyncExitStack) -> Services:
    """Build the services from the settings, without any request.

    `closing` will close the connections and files. Raises `UnusableSetting` if a required setting
    is missing or malformed.
    """
    from shared.adapters.channels.log import LogAlertSender
    from shared.adapters.function_keys import HostFunctionKeys
    from shared.callers import build_caller_kinds
    from shared.firewalls import build_firewall_kinds
    from shared.state.tables import Tables

    ground = build_core_services(settings, closing)
    outside = MicrosoftServices(ground)
    ports = outside.build_ports()
    return Services(
        settings=settings,
        clock=ground.clock,
        tables=Tables(ground.store),
        archive=build_archive(ground),
        messages=build_message_sender(ground),
        alerts=LogAlertSender(),
        function_keys=HostFunctionKeys(ground.http, ground.clock, settings.own_address),
        request_budget=outside.flow_budget,
        channels=build_channels(ground),
        callers=build_caller_kinds(ports, settings),
        firewalls=build_firewall_kinds(ports.resources),
        telemetry=ground.telemetry,
        **map_platform_ports(ports),
    )
