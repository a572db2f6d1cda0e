"""Run the host: read settings, start the worker and the triggers, report readiness, and stop."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from local_cloud.functions_host.app_functions import (
    Function,
    QueueTrigger,
    TimerTrigger,
    parse_function,
)
from local_cloud.functions_host.authentication import ENABLED, Authentication, read_settings
from local_cloud.functions_host.host_settings import (
    HostSettings,
    HostStartError,
    is_disabled,
    load_host_settings,
    set_app_settings,
)
from local_cloud.functions_host.http_front import HttpFront
from local_cloud.functions_host.log_lines import start_logging
from local_cloud.functions_host.queue_listener import ListenerLimits, QueueListener
from local_cloud.functions_host.timer_runner import TimerRunner
from local_cloud.functions_host.worker import Worker

_LOGGER = logging.getLogger("host")
HOST_NAME = "WEBSITE_HOSTNAME"
#: How long running invocations get to finish when the host stops.
_GRACE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    app_dir: Path
    #: 0 takes a free port.
    port: int
    #: What functions with an auth level ask for.
    function_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    url: str
    functions: list[str]


async def run_host(options: HostOptions, report_ready: Callable[[Ready], None]) -> bool:
    """Run an app until SIGTERM or SIGINT. Return False if the stop had to interrupt an invocation.

    Raises `HostStartError` if the app or its settings cannot be run, or the port cannot be bound.
    """
    port, home = options.port, Path.cwd()

    def restart() -> None:
        logging.shutdown()
        os.chdir(home)
        command = [sys.executable, "-m", __package__, str(options.app_dir), "--port", str(port)]
        os.execv(command[0], [*command, f"--function-key={options.function_key}"])  # noqa: S606

    set_app_settings(options.app_dir, os.environ)
    settings = load_host_settings(options.app_dir, os.environ)
    authentication = read_settings(os.environ)
    # The module's word for the app, which no setting can give.
    os.environ.pop(ENABLED, None)
    if authentication:
        os.environ[ENABLED] = "True"
    # As in Azure, relative paths of the app start at its own folder.
    os.chdir(options.app_dir)
    worker = Worker(options.app_dir, settings.function_timeout, restart)
    start_logging(settings.log_level, worker.running)
    functions = _list_enabled_functions(
        [parse_function(entry, os.environ) for entry in await worker.start()]
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    front = HttpFront(functions, worker, settings.route_prefix)
    # Shut down by hand: requests under way get the grace that the other triggers get.
    runner = web.AppRunner(
        front.build_application(
            options.function_key, Authentication(authentication) if authentication else None
        ),
        access_log=None,
        shutdown_timeout=_GRACE,
    )
    await runner.setup()
    url = await _start_listening(runner, options.port)
    port = runner.addresses[0][1]
    # As App Service and Core Tools tell the app where it is.
    os.environ[HOST_NAME] = f"127.0.0.1:{port}"
    triggers = [
        asyncio.create_task(run) for run in _build_triggers(functions, worker, settings, stop)
    ]
    for trigger in triggers:
        trigger.add_done_callback(_log_ended_trigger)
    report_ready(Ready(url=url, functions=sorted(function.name for function in functions)))
    await stop.wait()
    return await _stop_host(worker, runner, triggers)


def _list_enabled_functions(functions: list[Function]) -> list[Function]:
    for function in functions:
        if is_disabled(function.name, os.environ):
            _LOGGER.warning("function disabled", extra={"function": function.name})
    return [function for function in functions if not is_disabled(function.name, os.environ)]


async def _start_listening(runner: web.AppRunner, port: int) -> str:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as err:
        raise HostStartError(f"port {port} cannot be bound: {err.strerror}") from err
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _build_triggers(
    functions: list[Function], worker: Worker, settings: HostSettings, stop: asyncio.Event
) -> list[Coroutine[Any, Any, None]]:
    limits = ListenerLimits(
        concurrent_calls=settings.max_concurrent_calls, lock_renewal=settings.max_lock_renewal
    )
    running: list[Coroutine[Any, Any, None]] = []
    for function in functions:
        match function.trigger:
            case TimerTrigger() as trigger:
                running.append(TimerRunner(function, trigger, worker).run(stop))
            case QueueTrigger() as trigger:
                running.append(QueueListener(function, trigger, worker, limits).run(stop))
            case _:
                pass  # the HTTP front has it
    return running


async def _stop_host(
    worker: Worker, runner: web.AppRunner, triggers: list[asyncio.Task[None]]
) -> bool:
    """Stop the host. Return False if running invocations had to be interrupted."""
    _LOGGER.info("stopping", extra={"running": len(worker.running)})
    ending = asyncio.gather(runner.cleanup(), *triggers, return_exceptions=True)
    try:
        async with asyncio.timeout(_GRACE):
            await asyncio.shield(ending)
    except TimeoutError:
        _LOGGER.warning("still running", extra={"functions": sorted(worker.running.values())})
        for trigger in triggers:
            trigger.cancel()
        await ending
        return False
    worker.stop()
    return True


def _log_ended_trigger(trigger: asyncio.Task[None]) -> None:
    """Log the exception that ended a trigger. Without this, nobody would see it."""
    if not trigger.cancelled() and (error := trigger.exception()):
        _LOGGER.error("trigger failed", exc_info=error)
