"""Read and set the kill switch, a row that stops the app's writes."""

from collections.abc import Callable

from shared.domain.kill_switch import KillSwitch
from shared.errors import UnreadableRow
from shared.logs.fields import get_product_log
from shared.services import Services
from shared.steps.write_permission import KILL_SWITCH, find_kill_switch

log = get_product_log(__name__)


async def is_kill_switch_on(services: Services) -> bool:
    """Return whether the kill switch is on."""
    switch = await find_kill_switch(services)
    return switch is not None and switch.is_on


async def set_kill_switch(
    services: Services,
    *,
    is_on: bool,
    by: str,
    reason: str,
    check: Callable[[KillSwitch | None], None] = lambda _: None,
) -> KillSwitch:
    """Turn the kill switch on or off.

    Waiting jobs continue within `CMK_WAIT_POLL_INTERVAL` after it is off. `check` receives the
    switch before the change and may raise.
    """
    flag = KillSwitch(
        name=KILL_SWITCH, is_on=is_on, changed_by=by, changed_at=services.now, justification=reason
    )

    def check_and_replace_switch(old: KillSwitch | None) -> KillSwitch:
        check(old)
        return flag

    try:
        await services.tables.kill_switch.change(
            "kill_switch", KILL_SWITCH, check_and_replace_switch
        )
    except UnreadableRow:
        check(await find_kill_switch(services))
        await services.tables.kill_switch.upsert(flag)
    log.warning(
        "kill switch changed", extra={"is_on": is_on, "changed_by": by, "justification": reason}
    )
    return flag
