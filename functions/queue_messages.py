"""Read queue messages, and call the use case for each event or job."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import azure.functions as func

from functions.message_handling import QueueInvocation, build_invocation, handle_message
from shared.bootstrap import services
from shared.domain.events import Event, parse_events
from shared.domain.ids import is_identifier
from shared.errors import InvalidInput
from shared.services import Services

type Reaction = Callable[[Services, Event], Awaitable[object]]


async def handle_event_message(
    message: func.ServiceBusMessage, queue: str, react: Reaction
) -> None:
    """Call `react` for each event of a message. An event that fails with a `CmkflowError` does not
    stop the others.
    """
    open_services = services()
    invocation = build_invocation(message, queue)
    for one in _split_events(invocation):

        async def handle_event(one: QueueInvocation = one) -> object:
            (event,) = parse_events(one.content)
            return await react(open_services, event)

        await handle_message(open_services, one, handle_event)


def _split_events(invocation: QueueInvocation) -> list[QueueInvocation]:
    try:
        parse_events(invocation.content)
    except InvalidInput:
        return [invocation]  # handle_message reads it again and moves it to the poison queue
    document = invocation.document
    if not isinstance(document, list):
        return [invocation]
    return [
        replace(invocation, first=f"{invocation.first}/{number}", content=json.dumps(item).encode())
        for number, item in enumerate(document)
    ]


type RunJob = Callable[[Services, str, str], Awaitable[object]]


async def run_job_from_message(
    message: func.ServiceBusMessage, queue: str, partition: str, run: RunJob
) -> None:
    """Call `run` for the job that a message names.

    The message's body has the partition and the id of the job's row, as `partition` and `job`.
    """
    open_services = services()
    invocation = build_invocation(message, queue)

    async def run_due_job() -> object:
        where, job_id = _parse_row_key(invocation.document, partition)
        return await run(open_services, where, job_id)

    await handle_message(open_services, invocation, run_due_job)


def _parse_row_key(document: object, partition: str) -> tuple[str, str]:
    if not isinstance(document, Mapping):
        message = "The body is not a JSON object."
        raise InvalidInput(message)
    for name in (partition, "job"):
        if not is_identifier(document.get(name)):
            message = f"The member `{name}` is missing or not a valid id."
            raise InvalidInput(message)
    return document[partition], document["job"]
