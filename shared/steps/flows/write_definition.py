"""Write a flow's definition in a shape that the platform takes, and know it again when it is read.

Some saves of solution flows refuse the older shapes of connector operations (contract §5.6); which
do is not published. So a definition is written as it stands first.
"""

from collections.abc import Awaitable, Callable

from shared.domain.definitions.comparison import same_definition
from shared.domain.definitions.connector_hosts import SHAPE_REFUSED, with_reference_hosts
from shared.errors import Refused
from shared.steps.work import Work


async def write_definition(
    work: Work, client_data: str, write: Callable[[str], Awaitable[None]]
) -> None:
    """Write the definition as it stands; where its older shapes are refused, in the newest one.

    Raises whatever else `write` raises.
    """
    await work.permit_write()
    try:
        await write(client_data)
    except Refused as err:
        converted = with_reference_hosts(client_data)
        if err.code not in SHAPE_REFUSED or converted == client_data:
            raise
        await work.permit_write()
        await write(converted)


def stands(stored: str, client_data: str) -> bool:
    """Say whether what is stored is the definition that was to be written, in either shape."""
    if same_definition(stored, client_data):
        return True
    return same_definition(stored, with_reference_hosts(client_data))
