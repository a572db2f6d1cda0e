"""Parse the functions of an app from the bindings that the worker reports.

A binding that the host does not emulate is rejected before anything runs. If the host ignored it,
the app would work locally and fail in Azure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from azure.servicebus import parse_connection_string

from local_cloud.functions_host.host_settings import HostStartError, resolve_settings
from local_cloud.functions_host.schedule import Schedule, parse_schedule


class AuthLevel(StrEnum):
    ANONYMOUS = "ANONYMOUS"
    FUNCTION = "FUNCTION"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    #: ASP.NET route template without the prefix, like `jobs/{id}`.
    route: str
    #: Upper-case methods; empty means every method.
    methods: frozenset[str]
    auth_level: AuthLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTrigger:
    expression: str
    schedule: Schedule
    run_on_startup: bool
    use_monitor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    queue_name: str
    #: A secret: never log it.
    connection_string: str
    #: Whether the worker gets the body as bytes (dataType BINARY) instead of text.
    is_binary: bool


type Trigger = HttpTrigger | TimerTrigger | QueueTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    id: str
    name: str
    #: The name of the parameter that the trigger's data is bound to.
    parameter: str
    trigger: Trigger


def parse_function(metadata: Any, environ: Mapping[str, str]) -> Function:
    """Parse a function from the RpcFunctionMetadata that the worker returns.

    Raises `HostStartError` with the function's name for everything that the host does not emulate.
    """
    try:
        bindings = [json.loads(binding) for binding in metadata.raw_bindings]
        trigger = next(b for b in bindings if b["type"].lower().endswith("trigger"))
        for binding in bindings:
            is_http_response = (binding["name"], binding["type"].lower()) == ("$return", "http")
            if binding is not trigger and not is_http_response:
                raise HostStartError(f"the binding {binding['name']!r} ({binding['type']})")
        if metadata.HasField("retry_options"):
            raise HostStartError("a retry policy")
        return Function(
            id=metadata.function_id,
            name=metadata.name,
            parameter=trigger["name"],
            trigger=_parse_trigger(trigger, metadata.name, environ),
        )
    except HostStartError as err:
        raise HostStartError(
            f"function {metadata.name}: this host cannot run it because of: {err}"
        ) from err


def _parse_trigger(binding: dict[str, Any], name: str, environ: Mapping[str, str]) -> Trigger:
    match binding["type"].lower():
        case "httptrigger":
            return HttpTrigger(
                route=(binding.get("route") or name).strip("/"),
                methods=frozenset(method.upper() for method in binding.get("methods") or ()),
                auth_level=AuthLevel(str(binding.get("authLevel") or "FUNCTION").upper()),
            )
        case "timertrigger":
            return _parse_timer(binding, environ)
        case "servicebustrigger":
            return _parse_queue(binding, environ)
        case other:
            raise HostStartError(f"the trigger type {other}")


def _parse_timer(binding: dict[str, Any], environ: Mapping[str, str]) -> TimerTrigger:
    expression = resolve_settings(binding["schedule"], environ)
    try:
        schedule = parse_schedule(expression)
        schedule.find_next(datetime.now(UTC))
    except ValueError as err:
        raise HostStartError(str(err)) from err
    return TimerTrigger(
        expression=expression,
        schedule=schedule,
        run_on_startup=bool(binding.get("runOnStartup")),
        use_monitor=binding.get("useMonitor") is not False,
    )


def _parse_queue(binding: dict[str, Any], environ: Mapping[str, str]) -> QueueTrigger:
    if binding.get("topicName") or not binding.get("queueName"):
        raise HostStartError("a Service Bus topic (queues only)")
    if binding.get("isSessionsEnabled"):
        raise HostStartError("Service Bus sessions")
    if str(binding.get("cardinality") or "ONE").upper() != "ONE":
        raise HostStartError("cardinality MANY (one message for each invocation only)")
    if str(binding.get("autoCompleteMessages", True)).lower() != "true":
        raise HostStartError("autoCompleteMessages false: the worker cannot settle a message")
    connection = resolve_settings(binding.get("connection") or "AzureWebJobsServiceBus", environ)
    connection_string = environ.get(connection) or environ.get(f"AzureWebJobs{connection}")
    if not connection_string:
        raise HostStartError(f"the app setting {connection} holds no connection string")
    try:
        parse_connection_string(connection_string)
    except ValueError as err:
        # Its text may hold the key: name the setting only.
        raise HostStartError(f"the app setting {connection} is no connection string") from err
    return QueueTrigger(
        queue_name=resolve_settings(binding["queueName"], environ),
        connection_string=connection_string,
        is_binary=str(binding.get("dataType") or "").upper() == "BINARY",
    )
