"""Read messages that name a job, and pass the job to a use case."""

from collections.abc import Awaitable, Callable, Mapping

import azure.functions as func

from functions.message_handling import build_invocation, handle_message
from shared.bootstrap import services
from shared.domain.identifiers import is_identifier
from shared.errors import InvalidInput
from shared.services import Services

type RunJob = Callable[[Services, str, str], Awaitable[object]]


async def run_job_from_message(
    message: func.ServiceBusMessage, queue: str, partition: str, run: RunJob
) -> None:
    """Run the job that a message names by the members `partition` and `job` of its body."""
    open_services = services()
    invocation = build_invocation(message, queue)

    async def run_due_job() -> object:
        where, job_id = _read_row_key(invocation.document, partition)
        return await run(open_services, where, job_id)

    await handle_message(open_services, invocation, run_due_job)


def _read_row_key(document: object, partition: str) -> tuple[str, str]:
    if not isinstance(document, Mapping):
        message = "The body is not a JSON object."
        raise InvalidInput(message)
    for name in (partition, "job"):
        if not is_identifier(document.get(name)):
            message = f"The member `{name}` is missing or not a valid id."
            raise InvalidInput(message)
    return document[partition], document["job"]
