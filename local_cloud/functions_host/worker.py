"""Run Microsoft's Python worker library on a separate thread and event loop.

In Azure, the worker is another process, so a handler that blocks its loop does not prevent the host
from renewing locks. The thread has the same effect. The library keeps its registry in module
globals, so a process runs one app.
"""

import asyncio
import logging
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local_cloud.functions_host.app_functions import Function
from local_cloud.functions_host.host_settings import HostStartError
from local_cloud.functions_host.rpc_messages import rpc

_LOGGER = logging.getLogger("host.worker")
_SCRIPT = "function_app.py"
#: Time for the answer to a request that ran into the time-out, in seconds.
_LAST_WORDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One execution of a function, with the data that its trigger passes to the worker."""

    function: Function
    #: The trigger's data as a TypedData message.
    data: Any
    #: Names to TypedData messages.
    metadata: dict[str, Any] = field(default_factory=dict)
    #: The W3C traceparent of the cause, if known.
    caused_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationOutcome:
    """How an invocation ended: its success and its return value."""

    succeeded: bool
    #: It ran into the time-out: the process ends now, and with it all that the worker does.
    is_last: bool = False
    #: The returned TypedData message; None if the function returned nothing or failed.
    value: Any = None


class Worker:
    """Runs one app in Microsoft's worker library. Its methods are used on the host's event loop."""

    def __init__(
        self, app_dir: Path, timeout: timedelta | None, restart: Callable[[], object]
    ) -> None:
        """Create the worker for the app's folder.

        `timeout` limits an invocation; None means no limit. After a timeout, `restart` kills the
        worker and starts it again.
        """
        self._app_dir = app_dir
        self._timeout = timeout.total_seconds() if timeout else None
        self._restart = restart
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker", daemon=True)
        #: Function names by invocation id, for the log lines.
        self.running: dict[str, str] = {}

    async def start(self) -> list[Any]:
        """Import the app and return the RpcFunctionMetadata of its functions.

        Raises `HostStartError`, which says why, if the app has no script or cannot be indexed.
        """
        # Without the file the library indexes nothing and calls it a success.
        if not (self._app_dir / _SCRIPT).is_file():
            raise HostStartError(f"{self._app_dir} holds no {_SCRIPT}")
        sys.path.insert(0, str(self._app_dir))
        self._thread.start()
        return await self._run_on_worker_loop(self._load_functions())

    async def invoke(self, invocation: Invocation) -> InvocationOutcome:
        """Run a function. A failure is logged and returned as an outcome, never raised."""
        invocation_id = str(uuid.uuid4())
        name = invocation.function.name
        self.running[invocation_id] = name
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._run_on_worker_loop(
                    self._send_invocation(invocation_id, invocation)
                )
        except TimeoutError:
            return self._restart_after_timeout(invocation.function, invocation_id)
        else:
            succeeded = response.result.status == rpc.StatusResult.Success
            failure = "" if succeeded else response.result.exception.message or "failed"
            stack = response.result.exception.stack_trace
            value = response.return_value if response.HasField("return_value") else None
        finally:
            del self.running[invocation_id]
        fields = {
            "function": name,
            "trigger": _get_trigger_kind(invocation.function),
            "invocation_id": invocation_id,
            "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        }
        if failure:
            fields |= {"failure": failure, "stack_trace": stack}
            _LOGGER.error("function failed", extra=fields)
            return InvocationOutcome(succeeded=False)
        _LOGGER.info("function succeeded", extra=fields)
        return InvocationOutcome(succeeded=True, value=value)

    def _restart_after_timeout(self, function: Function, invocation_id: str) -> InvocationOutcome:
        """Log a timeout, and restart the worker. As in the real host, this ends all invocations."""
        name = function.name
        fields = {
            "function": name,
            "trigger": _get_trigger_kind(function),
            "invocation_id": invocation_id,
        }
        failure = f"timed out after {self._timeout} s"
        _LOGGER.error("function failed", extra=fields | {"failure": failure, "stack_trace": ""})
        neighbours = sorted(self.running.values())
        _LOGGER.error("worker restarted", extra={"function": name, "running": neighbours})
        asyncio.get_running_loop().call_later(_LAST_WORDS, self._restart)
        return InvocationOutcome(succeeded=False, is_last=True)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close_loop(), self._loop).result()
        runtime.stop_threadpool_executor()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close_loop(self) -> None:
        """End the worker's loop as `asyncio.run` does, so that the app can close what it opened."""
        tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    async def _run_on_worker_loop[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the worker's loop, and await its result."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _load_functions(self) -> list[Any]:
        runtime.start_threadpool_executor()
        directory = str(self._app_dir)
        init = rpc.WorkerInitRequest(host_version="4.0.0.0", function_app_directory=directory)
        response = await runtime.worker_init_request(_build_request(worker_init_request=init))
        _raise_on_failure(response.result)
        listed = await runtime.functions_metadata_request(
            _build_request(functions_metadata_request=rpc.FunctionsMetadataRequest())
        )
        functions = list(listed.function_metadata_results)
        for function in functions:
            load = rpc.FunctionLoadRequest(function_id=function.function_id, metadata=function)
            loaded = await runtime.function_load_request(_build_request(function_load_request=load))
            _raise_on_failure(loaded.result)
        return functions

    async def _send_invocation(self, invocation_id: str, invocation: Invocation) -> Any:
        # The library sets this for sync functions only.
        runtime.invocation_id_cv.set(invocation_id)
        binding = rpc.ParameterBinding(name=invocation.function.parameter, data=invocation.data)
        request = rpc.InvocationRequest(
            invocation_id=invocation_id,
            function_id=invocation.function.id,
            input_data=[binding],
            trigger_metadata=invocation.metadata,
            trace_context=rpc.RpcTraceContext(
                trace_parent=_build_trace_parent(invocation.caused_by)
            ),
        )
        return await runtime.invocation_request(_build_request(invocation_request=request))


def _get_trigger_kind(function: Function) -> str:
    """Return `http`, `timer` or `queue`, by which Application Insights distinguishes requests."""
    return type(function.trigger).__name__.removesuffix("Trigger").lower()


def _build_request(**message: Any) -> SimpleNamespace:
    """Wrap a message in the object that the worker library expects from its host."""
    properties = {"host": "127.0.0.1", "protos": rpc}
    return SimpleNamespace(request=SimpleNamespace(**message), properties=properties)


def _raise_on_failure(result: Any) -> None:
    if result.status != rpc.StatusResult.Success:
        stack = result.exception.stack_trace.rstrip()
        raise HostStartError(f"{result.exception.message}\n{stack}")


def _build_trace_parent(caused_by: str | None) -> str:
    """Return a `traceparent` with a new span, in the trace of `caused_by` or in a new trace."""
    parts = (caused_by or "").split("-")
    trace_id = parts[1] if len(parts) == 4 and len(parts[1]) == 32 else secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"
