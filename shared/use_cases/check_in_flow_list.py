"""Check in the flow service's list whether retired originals are on.

This is for originals without a Dataverse row. One daily check may not have enough requests for all
pages, so the position in the list is stored after each page, and the next check continues there.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, FlowState
from shared.domain.timer_run import CheckPosition, DailyCheckTarget
from shared.errors import CmkflowError, NotFound, PlatformError, ServiceOutage, ThrottledError
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.flows.discovery_pages import has_cursor_expired
from shared.use_cases.check_in_rotation import store_check_result


async def check_originals_in_flow_list[T](
    services: Services,
    environment: Environment,
    originals: Mapping[str, T],
    found_on: Callable[[T], Awaitable[None]],
) -> int:
    """Call `found_on` for each original that is on, and return how many were not checked.

    `originals` are by flow name. An original that is on no page of a complete list counts as
    deleted.
    """
    table = services.tables.check_positions
    kept = await table.get(environment.id, DailyCheckTarget.OUTSIDE)
    at = CheckPosition(environment_id=environment.id, check=DailyCheckTarget.OUTSIDE)
    if kept:
        at = replace(at, cursor=kept.item.cursor, next_job_id=kept.item.next_job_id)
    is_whole = not (at.cursor or at.next_job_id)
    left, missed, error = dict(originals), dict[str, T](), None
    cursors = set[str]()
    try:
        while left:
            _reject_repeated_cursor(at.cursor, cursors)
            page = await services.flow_pages.read_flows(environment.id, at.cursor)
            for flow in _select_originals_on_page(page, left, since=at.next_job_id):
                at = replace(at, next_job_id=flow.flow_name)
                original = left[flow.flow_name]
                try:
                    if await _is_on(services, environment, flow):
                        await found_on(original)
                except (ThrottledError, ServiceOutage):
                    raise
                except CmkflowError as err:  # an error of this flow only
                    error, missed[flow.flow_name] = err, original
                del left[flow.flow_name]
            at = replace(at, cursor=page.cursor, next_job_id="")
            await table.upsert(at)
            if not at.cursor:
                left = {} if is_whole else left
                is_whole = True
                cursors.clear()
    except CmkflowError as err:
        error = err
        if isinstance(err, PlatformError | NotFound) and has_cursor_expired(at.cursor, err):
            at = replace(at, cursor="", next_job_id="")
    not_checked_count = len(left) + len(missed)
    await store_check_result(
        services,
        environment,
        DailyCheckTarget.OUTSIDE,
        not_checked_count=not_checked_count,
        of=len(originals),
        first=at.next_job_id,
        cursor=at.cursor,
        error=error,
    )
    return not_checked_count


def _reject_repeated_cursor(cursor: str, cursors: set[str]) -> None:
    """Raise `PlatformError`, as for an expired cursor, if a cursor was already read."""
    if cursor in cursors:
        message = "The list repeats a page. The next check starts at the first page."
        raise PlatformError(message, code="RepeatedPage", status=HTTPStatus.GONE)
    cursors.add(cursor)


def _select_originals_on_page[T](
    page: ResultPage[FlowListEntry], originals: Mapping[str, T], *, since: str
) -> list[FlowListEntry]:
    found = (flow for flow in page.items if flow.flow_name in originals)
    return sorted((one for one in found if one.flow_name >= since), key=lambda one: one.flow_name)


async def _is_on(services: Services, environment: Environment, flow: FlowListEntry) -> bool:
    state = flow.state
    if state is None:  # the list may omit the state
        with suppress(NotFound):  # deleted since it was listed
            detail = await services.flow_reports.get_flow(environment.id, flow.flow_name)
            state = detail.state
    return state is FlowState.ON
