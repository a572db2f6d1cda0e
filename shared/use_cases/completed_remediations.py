"""Build the messages that the work in environments is complete."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.completed_work import (
    RemainingFlow,
    build_completed_action,
    find_failing_channels,
    is_settled,
    list_remaining_flows,
    needs_completion_message,
)
from shared.domain.plans.not_migrated import count_not_migrated
from shared.domain.plans.notification import NotificationDelivery
from shared.domain.plans.pending_actions import PendingAction
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.read_job_index import read_known_flow_jobs
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.show_status import PendingActions


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionMessages:
    """Messages that the work in environments is complete."""

    #: Messages that may be sent, or were sent.
    ready: tuple[PendingAction, ...]
    #: Messages that come later: flows are blocked or in progress.
    held: tuple[PendingAction, ...]


async def read_completion_messages(
    services: Services,
    pending: PendingActions,
    known: Mapping[str, Sequence[NotificationDelivery]],
) -> CompletionMessages:
    """Return the messages that the work in environments is complete.

    `known` contains the notification deliveries of each pending action, by the action's id.
    """
    blocked = {job.environment_job_id for job in pending.blocked_jobs}
    out = find_failing_channels(chain.from_iterable(known.values()), services.now)
    ready, held = [], []
    for job in pending.environment_jobs:
        action = build_completed_action(job, {})
        rows = known.get(action.id, ())
        is_owed = any(not one.sent_count and one.channel not in out for one in rows)
        if not needs_completion_message(job, is_owed, services.now):
            continue
        if job.id in blocked:
            held.append(action)
        elif _is_sent_to_all_channels(services, rows):
            ready.append(action)
        else:
            left = await _read_not_migrated_counts(services, job)
            if not is_settled(left):
                held.append(action)
                continue
            flows = await _read_remaining_flows(services, job) if left else ()
            ready.append(build_completed_action(job, left, flows))
    return CompletionMessages(ready=tuple(ready), held=tuple(held))


def _is_sent_to_all_channels(services: Services, rows: Iterable[NotificationDelivery]) -> bool:
    sent = {one.channel for one in rows if one.sent_count}
    return all(channel.name in sent for channel in services.channels)


async def _read_remaining_flows(services: Services, job: EnvironmentJob) -> Sequence[RemainingFlow]:
    reading, tables = RowReader(), services.tables
    items = await reading.list_readable(tables.plan_items.scan(job.id))
    return list_remaining_flows(
        job, items, await reading.list_readable(_scan_flow_jobs(services, job))
    )


async def _read_not_migrated_counts(
    services: Services, job: EnvironmentJob
) -> dict[NotMigratedReason, int]:
    reading = RowReader()
    if known := await read_known_flow_jobs(services, [job], reading):
        closed = known.closed.get(job.environment_id, {})
        return count_not_migrated([job], known.flow_jobs, closed.values())
    return count_not_migrated([job], await reading.list_readable(_scan_flow_jobs(services, job)))


def _scan_flow_jobs(
    services: Services, job: EnvironmentJob
) -> AsyncIterator[StoredItem[FlowJob] | UnreadableRow]:
    where = [Condition("environment_job_id", "eq", job.id)]
    return services.tables.flow_jobs.scan(job.environment_id, where=where)
