"""Reads a message of an event queue and hands each of its events to a use case."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import azure.functions as func

from functions.message_handling import QueueInvocation, delivery_of, handle_message
from shared.bootstrap import services
from shared.domain.events import Event, read_events
from shared.errors import InvalidInput
from shared.services import Services

type Reaction = Callable[[Services, Event], Awaitable[object]]


async def handle_event_message(
    message: func.ServiceBusMessage, queue: str, react: Reaction
) -> None:
    """React to every event of a message; each has a fate of its own."""
    open_services = services()
    delivery = delivery_of(message, queue)
    for one in _each(delivery):

        async def act(one: QueueInvocation = one) -> object:
            (event,) = read_events(one.content)
            return await react(open_services, event)

        await handle_message(open_services, one, act)


def _each(delivery: QueueInvocation) -> list[QueueInvocation]:
    """Return the message as one for each event; one that cannot be read stays whole."""
    try:
        read_events(delivery.content)
    except InvalidInput:
        return [delivery]  # it is read again where that decides its fate
    document = delivery.document
    if not isinstance(document, list):
        return [delivery]
    return [
        replace(delivery, first=f"{delivery.first}/{number}", content=json.dumps(item).encode())
        for number, item in enumerate(document)
    ]
