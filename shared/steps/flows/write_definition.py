"""Write a flow's definition in a shape that the platform takes, and know it again when it is read.

Some saves of solution flows refuse the older shapes of connector operations (contract §5.6); which
do is not published. So a definition is written as it stands first.
"""

from collections.abc import Callable

from shared.domain.definitions.comparison import same_definition
from shared.domain.definitions.connector_hosts import SHAPE_REFUSED, with_reference_hosts
from shared.errors import Refused
from shared.steps.flows.effect import Refusal, Reply, Write, with_fallback


def writing(client_data: str, write_of: Callable[[str], Write]) -> Write:
    """Return the write of a definition as it stands; if its older shapes are refused, converted.

    `write_of` returns the write of one text.
    """

    async def refused(err: Refusal) -> Reply:
        converted = with_reference_hosts(client_data)
        is_shape = isinstance(err, Refused) and err.code in SHAPE_REFUSED
        return write_of(converted) if is_shape and converted != client_data else None

    return with_fallback(write_of(client_data), refused)


def stands(stored: str, client_data: str) -> bool:
    """Say whether what is stored is the definition that was to be written, in either shape."""
    if same_definition(stored, client_data):
        return True
    return same_definition(stored, with_reference_hosts(client_data))
