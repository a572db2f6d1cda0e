"""Reads a message that says "look at this row" and hands it to the use case."""

from collections.abc import Awaitable, Callable, Mapping

import azure.functions as func

from functions.message_handling import delivery_of, handle_message
from shared.bootstrap import services
from shared.domain.identifiers import is_identifier
from shared.errors import InvalidInput
from shared.services import Services

type RunJob = Callable[[Services, str, str], Awaitable[object]]


async def run_job_from_message(
    message: func.ServiceBusMessage, queue: str, partition: str, run: RunJob
) -> None:
    """Run the job that a message names by `partition` (a member of its body) and `job`."""
    open_services = services()
    delivery = delivery_of(message, queue)

    async def act() -> object:
        where, job_id = _row(delivery.document, partition)
        return await run(open_services, where, job_id)

    await handle_message(open_services, delivery, act)


def _row(document: object, partition: str) -> tuple[str, str]:
    if not isinstance(document, Mapping):
        message = "The body is not a JSON object."
        raise InvalidInput(message)
    for name in (partition, "job"):
        if not is_identifier(document.get(name)):
            message = f"The member `{name}` is missing, or is no id."
            raise InvalidInput(message)
    return document[partition], document["job"]
