"""An app for the tests of the Functions host. Its functions record how their triggers call them.

What a function gets is appended as a JSON line to the file that the setting SEEN names.
"""

import asyncio
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
_LOCK = threading.Lock()
logging.getLogger("sample").info("imported")


def _note(function: str, **facts: Any) -> None:
    line = json.dumps({"function": function, **facts}, default=str)
    with _LOCK, Path(os.environ["SEEN"]).open("a") as seen:
        seen.write(line + "\n")


@app.route(route="echo/{kind}/{number:int?}", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    body = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("x-demo"),
        "body": req.get_body().decode(),
    }
    headers = {"x-answer": "yes", "Set-Cookie": "seen=1; Path=/; HttpOnly; SameSite=Lax"}
    return func.HttpResponse(
        json.dumps(body), status_code=201, mimetype="application/json", headers=headers
    )


@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_to_all(req: func.HttpRequest, context: func.Context) -> str:
    logging.getLogger("sample").info("called %s", req.method, extra={"field": 7})
    return f"{context.function_name} {Path.cwd().name}"


@app.route(route="log", auth_level=func.AuthLevel.ANONYMOUS)
async def log_async(req: func.HttpRequest, context: func.Context) -> str:
    logging.getLogger("sample").info("async line")
    return f"{context.invocation_id} {context.trace_context.trace_parent}"


@app.route(route="header", auth_level=func.AuthLevel.ANONYMOUS)
async def return_header(req: func.HttpRequest) -> func.HttpResponse:
    """Return a header with a character that is not ASCII."""
    return func.HttpResponse("", headers={"Content-Disposition": 'filename="körper"'})


@app.route(route="none", auth_level=func.AuthLevel.ANONYMOUS)
async def return_none(req: func.HttpRequest) -> func.HttpResponse:
    """Return None, which an HTTP function must not do."""
    return None  # type: ignore[return-value]  # the mistake under test


@app.route(route="raise", auth_level=func.AuthLevel.ANONYMOUS)
async def raise_error(req: func.HttpRequest) -> func.HttpResponse:
    try:
        raise LookupError("nothing here")
    except LookupError:
        logging.getLogger("sample").exception("cannot answer")
        raise


@app.route(route="slow/{seconds}", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    """Record the call, then answer after the seconds in the path."""
    _note("slow")
    await asyncio.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse("done")


@app.timer_trigger(schedule="%TICK%", arg_name="timer", run_on_startup=False)
async def tick(timer: func.TimerRequest) -> None:
    status = timer.schedule_status  # type: ignore[attr-defined]  # the worker's timer has it
    _note("tick", past_due=timer.past_due, status=status)


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=True)
def at_start(timer: func.TimerRequest) -> None:
    _note("at_start", past_due=timer.past_due)


@app.service_bus_queue_trigger(
    arg_name="message", queue_name="%ORDERS%", connection="ServiceBusConnection"
)
async def on_order(message: func.ServiceBusMessage) -> None:
    """Record the message, then fail, wait or hang as its body demands."""
    body = message.get_body().decode()
    _note(
        "on_order",
        body=body,
        message_id=message.message_id,
        delivery_count=message.delivery_count,
        enqueued=message.enqueued_time_utc,
        sequence_number=message.sequence_number,
        properties=message.application_properties,
        metadata=message.metadata,
        unsent=[message.locked_until, message.time_to_live, message.dead_letter_reason],
    )
    if body == "fail once" and message.delivery_count == 1:
        raise RuntimeError("the first time")
    if body == "hang once":
        await asyncio.sleep(600 if message.delivery_count == 1 else 0)
        _note("on_order_done", body=body)
    if body.startswith("wait "):
        await asyncio.sleep(float(body.removeprefix("wait ")))
        _note("on_order_done", body=body)


@app.service_bus_queue_trigger(
    arg_name="message",
    queue_name="parcels",
    connection="ServiceBusConnection",
    data_type=func.DataType.BINARY,
)
def on_parcel(message: func.ServiceBusMessage) -> None:
    _note("on_parcel", hex=message.get_body().hex(), thread=threading.current_thread().name)
    time.sleep(0.05)
