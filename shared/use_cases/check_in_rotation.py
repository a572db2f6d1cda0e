"""Check many flows of an environment in Dataverse, a thousand at a time.

Flows that one daily check does not reach are the first in the next. The position is stored after
each thousand, so a crash repeats at most a thousand.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import batched

from shared.alerts import read_readable, send_alert
from shared.domain.environment import Environment
from shared.domain.flow import WorkflowSummary
from shared.domain.timer_run import CheckPosition, DailyCheckTarget, rotate_job_ids
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, Conflict, NotFound, ServiceOutage, ThrottledError
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services

log = get_product_log(__name__)

#: Flows per request: a batch with forty filters, which must complete within the timeout.
_AT_A_TIME = 1_000
_WORDS = {
    DailyCheckTarget.RETIRED: "retired originals",
    DailyCheckTarget.WITHDRAWN: "copies of rolled back and cancelled jobs",
    DailyCheckTarget.OUTSIDE: "retired originals without a row in Dataverse",
}


async def check_flows_in_rotation(
    services: Services,
    environment: Environment,
    look: DailyCheckTarget,
    flows: Mapping[str, str],
    handle: Callable[[str, WorkflowSummary | None], Awaitable[None]],
) -> int:
    """Call `handle` for each flow, and return how many were not checked.

    Sends an alert about those. `flows` contains a workflow id for each job id. `handle` receives a
    job id and its flow in Dataverse, or None if there is no row.
    """
    table = services.tables.check_positions
    kept = await table.get(environment.id, look)
    before = kept.item if kept else CheckPosition(environment_id=environment.id, check=look)
    left, missed = rotate_job_ids(flows, before.next_job_id), list[str]()
    error: CmkflowError | None = None
    for some in batched(list(left), _AT_A_TIME, strict=False):
        found = await services.workflows.read_summaries(environment, [flows[one] for one in some])
        refused = []
        for job_id in some:
            known = found[flows[job_id]]
            try:
                if isinstance(known, CmkflowError) and not isinstance(known, NotFound):
                    raise known
                await handle(job_id, None if isinstance(known, NotFound) else known)
            except CmkflowError as err:
                error = err
                refused.append(job_id)
        if len(refused) == len(some) and isinstance(error, ThrottledError | ServiceOutage):
            break  # no request was possible: the next daily check starts here
        missed += refused
        left = left[len(some) :]
        if left:
            await table.upsert(replace(before, next_job_id=left[0]))
    not_checked = [*left, *missed]
    await store_check_result(
        services,
        environment,
        look,
        not_checked_count=len(not_checked),
        of=len(flows),
        first=not_checked[0] if not_checked else "",
        error=error,
    )
    return len(not_checked)


async def store_check_result(
    services: Services,
    environment: Environment,
    look: DailyCheckTarget,
    *,
    not_checked_count: int,
    of: int,
    first: str = "",
    cursor: str = "",
    error: CmkflowError | None = None,
) -> None:
    """Store the result of a check, and send an alert if flows were not checked.

    The next check begins at the flow `first` or at the page `cursor`.
    """
    code = Reason.RETIRED_ORIGINALS_NOT_CHECKED if not_checked_count else ""
    ended = CheckPosition(
        environment_id=environment.id,
        check=look,
        next_job_id=first,
        cursor=cursor,
        not_checked_count=not_checked_count,
        reason_code=code,
    )
    await _store_changed_position(services, ended)
    if not_checked_count:
        text = (
            f"{not_checked_count} of {of} {_WORDS[look]} in {environment.display_name} were not "
            f"checked: {redact(str(error))}."
        )
        log.warning("%s", text)
        await send_alert(
            services,
            Reason.RETIRED_ORIGINALS_NOT_CHECKED,
            services.tables.check_positions.get_row_name(ended),
            text,
        )


async def delete_unused_results(
    services: Services, linked: Collection[str], every: Collection[str]
) -> None:
    """Delete the stored results of environments that are no longer checked."""
    table = services.tables.check_positions
    async for kept in read_readable(services, table.scan()):
        still = every if kept.item.check is DailyCheckTarget.WITHDRAWN else linked
        if kept.item.environment_id not in still:
            with suppress(Conflict, NotFound):
                await table.delete(kept)


async def _store_changed_position(services: Services, ended: CheckPosition) -> None:
    table = services.tables.check_positions
    kept = await table.get(*table.get_address(ended))
    nothing = CheckPosition(environment_id=ended.environment_id, check=ended.check)
    if ended != (kept.item if kept else nothing):
        await table.upsert(ended)
