from shared.domain.callers.declared_caller import DECLARED_CALLER
from shared.errors import UnreadableRow
from tests.contract.ports.sides import Side
from tests.kinds.callers.declared_caller import declare


async def test_declared_callers_are_listed_and_read_by_id(side: Side) -> None:
    callers, till = side.ports.declared_callers, declare()
    await side.hands.declare(till)

    listed = [row.item async for row in callers.scan() if not isinstance(row, UnreadableRow)]
    kept = await callers.get(DECLARED_CALLER, till.id)

    assert listed == [till]
    assert kept is not None
    assert kept.item == till
    assert await callers.get(DECLARED_CALLER, "strange") is None
