"""Send notifications through every configured channel.

A timer runs this; no migration step depends on a channel. Before a notification is sent, its row is
claimed, so that two runs do not both send it. After a crash it is sent again with the same id. Each
run sends a limited number to each channel; the last one is a digest of the others. What a run has
no time for, a later run sends.
"""

import asyncio
from asyncio import gather
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import batched
from time import monotonic as _clock

from shared.alerts import format_error_cause, read_readable
from shared.domain.ids import hash_key
from shared.domain.plans.failed_run_action import build_failed_run_action
from shared.domain.plans.notification import (
    MOST_IN_A_RUN,
    Notification,
    NotificationDelivery,
    build_first_delivery,
    choose_actions_to_send,
    list_actions_to_notify,
    mark_delivery_accepted,
    mark_delivery_claimed,
    mark_delivery_rejected,
    split_into_single_and_digest,
)
from shared.domain.plans.notification_text import build_digest, shorten_action
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.timer_run import TimerRun
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    AlreadyExists,
    CmkflowError,
    Conflict,
    InternalErrorRepeated,
    LinkRejected,
    NotFound,
    ServiceUnavailable,
    TransientError,
    UnreadableRow,
)
from shared.logs.fields import get_product_log
from shared.ports import NotificationChannel
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.completed_remediations import read_completion_messages
from shared.use_cases.confirm_by_link import create_link_path
from shared.use_cases.notification_link import MessageLink, build_message_link, list_flow_paths
from shared.use_cases.show_status import FIRST_LOOK, read_pending_actions
from shared.use_cases.unconfirmed_callers import (
    UnconfirmedCaller,
    find_unconfirmed_callers,
    replace_blocked_actions,
)

log = get_product_log(__name__)

#: Maximum duration of one try; a claim whose process crashed is free after it.
_CLAIM = timedelta(minutes=2)
#: Maximum seconds for one notification, and for all of a channel in one run.
_LONGEST_SEND = 30.0
_LONGEST_RUN = 45.0
#: Number of rejections after which a channel gets no more notifications in a run.
_MOST_REJECTED = 3
#: Number of rows that are written concurrently.
_AT_ONCE = 50


async def notify(services: Services) -> int:
    """Send due notifications, and return how many were accepted.

    Raises `TransientError` if the store or the broker does not answer.
    """
    if not services.channels:
        return 0
    with suppress(AlreadyExists):
        await services.tables.timer_runs.insert(
            TimerRun(timer=FIRST_LOOK, completed_at=services.now)
        )
    table = services.tables.notification_deliveries
    # Read before the actions, so that an action which another run finds now is not deleted as
    # ended.
    known = {
        (kept.item.pending_action_id, kept.item.channel): kept
        async for kept in read_readable(services, table.scan("notification_delivery"))
    }
    waits = await read_pending_actions(services)
    completed = await read_completion_messages(
        services, waits, _group_notification_deliveries(known)
    )
    names = {job.environment_id: job.environment_name for job in waits.environment_jobs}
    unconfirmed = await find_unconfirmed_callers(services, names)
    pending = replace_blocked_actions(waits.items, waits.blocked_jobs, unconfirmed)
    failed = await _read_failed_run_actions(services)
    others = (*completed.ready, *(action for action, _ in failed))
    causes = list_actions_to_notify(pending, others, services.now)
    held = {one.id: one for one in completed.held}
    news = _News(
        causes=causes,
        held=held,
        links={
            one.id: build_message_link(one, waits.environment_jobs, waits.blocked_jobs)
            for one in causes.values()
        }
        | {action.id: link for action, link in failed}
        | {
            one.action.id: link
            for one in unconfirmed
            if (link := await _build_confirmation_link(services, one))
        },
    )
    # Concurrently, so that a slow channel does not delay the others.
    selected = await asyncio.gather(
        *(_send_to_channel(services, channel, news, known) for channel in services.channels)
    )
    for (cause_id, _), kept in known.items():
        if cause_id not in causes and cause_id not in held:
            with suppress(Conflict, NotFound):
                await table.delete(kept)
    return sum(selected)


async def _read_failed_run_actions(services: Services) -> list[tuple[PendingAction, MessageLink]]:
    found, cloud = [], services.settings.cloud
    rows = services.tables.failed_run_reports.scan("failed_runs")
    async for kept in read_readable(services, rows):
        report = kept.item
        if action := build_failed_run_action(report, services.now):
            urls = [
                cloud.build_runs_url(report.environment_id, one.flow_name)
                for one in report.flows[: len(action.flows)]
            ]
            path = f"/api/dashboard/failed-runs#{report.environment_id}"
            link = MessageLink(title="Open the failed runs", path=path, flow_urls=tuple(urls))
            found.append((action, link))
    return found


async def _build_confirmation_link(
    services: Services, unconfirmed: UnconfirmedCaller
) -> MessageLink | None:
    remediation_id = unconfirmed.action.remediation_id
    try:
        path = await create_link_path(services, unconfirmed.caller, remediation_id)
    except LinkRejected:
        return None
    return MessageLink(title="Confirm the change", path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """The pending actions that channels get now, and those that they get later."""

    causes: Mapping[str, PendingAction]
    held: Mapping[str, PendingAction]
    links: Mapping[str, MessageLink]


async def _send_to_channel(
    services: Services,
    channel: NotificationChannel,
    news: _News,
    known: Mapping[tuple[str, str], StoredItem[NotificationDelivery]],
) -> int:
    """Send the due notifications of one channel, and return how many it accepted.

    Sends them one by one until the channel accepts one, then the rest, including those that it
    rejected before. Stops after several rejections or at the deadline.
    """
    selected = {
        identity: cause
        for identity, cause in news.causes.items()
        # A failing channel cannot report itself.
        if (cause.kind, cause.reason_code) != (PendingActionKind.CHANNEL_FAILING, channel.name)
    }
    kept = await _read_deliveries(services, channel, {**news.held, **selected}, known)
    wanted = choose_actions_to_send(
        selected, {name: one.item for name, one in kept.items()}, services.now
    )
    sending = _Sending(services, channel, kept, news.links)
    waiting = [selected[one] for one in wanted.due]
    while waiting and not sending.accepted and sending.may_continue:
        await sending.send([waiting.pop(0)])
    if sending.accepted:
        names = {one.id for one in waiting} | set(wanted.rejected)
        rest = [cause for identity, cause in selected.items() if identity in names]
        alone, together = split_into_single_and_digest(rest, MOST_IN_A_RUN - sending.sent_count)
        for group in [*([one] for one in alone), together]:
            if group and sending.may_continue:
                await sending.send(group)
    return sending.accepted


async def _read_deliveries(
    services: Services,
    channel: NotificationChannel,
    causes: Mapping[str, PendingAction],
    known: Mapping[tuple[str, str], StoredItem[NotificationDelivery]],
) -> dict[str, StoredItem[NotificationDelivery]]:
    """Return the channel's deliveries by action, with a new one for each new action.

    An action whose flows were retried and are blocked again counts as new.
    """
    found = {name: known[name, channel.name] for name in causes if (name, channel.name) in known}
    together = services.settings.notification_grouping_period

    def build_notification_delivery(cause: PendingAction) -> NotificationDelivery:
        return build_first_delivery(cause, channel.name, services.now, together)

    again = {name: kept for name, kept in found.items() if kept.item.is_outdated(causes[name])}
    new = [
        _insert_notification_delivery(services, build_notification_delivery(one))
        for name, one in causes.items()
        if name not in found
    ]
    new += [
        _replace_delivery(services, kept, build_notification_delivery(causes[name]))
        for name, kept in again.items()
    ]
    for kept in await _run_concurrently(new):
        if kept:
            found[kept.item.pending_action_id] = kept
    return found


async def _insert_notification_delivery(
    services: Services, delivery: NotificationDelivery
) -> StoredItem[NotificationDelivery] | None:
    try:
        return await services.tables.notification_deliveries.insert(delivery)
    except AlreadyExists:
        return None  # another run handles it


@dataclass(slots=True)
class _Sending:
    """Sends notifications to one channel in one run, within limits of time and number."""

    services: Services
    channel: NotificationChannel
    kept: Mapping[str, StoredItem[NotificationDelivery]]
    links: Mapping[str, MessageLink]
    accepted: int = 0
    rejected: int = 0
    is_out: bool = False
    deadline: float = field(default_factory=lambda: _clock() + _LONGEST_RUN)

    @property
    def sent_count(self) -> int:
        return self.accepted + self.rejected

    @property
    def may_continue(self) -> bool:
        return not self.is_out and self.rejected < _MOST_REJECTED and _clock() < self.deadline

    async def send(self, causes: Sequence[PendingAction]) -> None:
        """Send one action, or several as a digest."""
        services, until = self.services, self.services.now + _CLAIM
        mine = await _run_concurrently(
            _replace_delivery(
                services, self.kept[one.id], mark_delivery_claimed(self.kept[one.id].item, until)
            )
            for one in causes
        )
        taken_over = [(cause, kept) for cause, kept in zip(causes, mine, strict=True) if kept]
        if not taken_over:
            return
        made = _build_notification(services, taken_over, self.links)
        notification = replace(made, recipients=await _read_recipients(services, made))
        error = await self._send_and_catch(notification)
        if error is None:
            self.accepted += 1
            after = [
                mark_delivery_accepted(kept.item, cause, services.now) for cause, kept in taken_over
            ]
        else:
            self.rejected += 1
            self.is_out = isinstance(error, TransientError)
            text = redact(str(error))
            extra = {"channel": self.channel.name, "text": text}
            log.warning("notification rejected", extra=extra)
            asked = error.retry_after if isinstance(error, TransientError) else None
            wait = services.settings.backoff_initial_delay
            after = [
                mark_delivery_rejected(kept.item, text, services.now, wait, asked)
                for _, kept in taken_over
            ]
        await _run_concurrently(
            _replace_delivery(services, kept, item)
            for (_, kept), item in zip(taken_over, after, strict=True)
        )

    async def _send_and_catch(self, notification: Notification) -> CmkflowError | None:
        """Send a notification, and return the error if it was not accepted."""
        try:
            async with asyncio.timeout(_LONGEST_SEND):
                await self.channel.send(notification)
        except TimeoutError:
            return ServiceUnavailable(f"no answer within {_LONGEST_SEND:.0f} seconds")
        except CmkflowError as err:
            return err
        except Exception as err:  # noqa: BLE001 -- channels may raise anything
            return InternalErrorRepeated(format_error_cause(err))
        return None


async def _replace_delivery(
    services: Services, kept: StoredItem[NotificationDelivery], item: NotificationDelivery
) -> StoredItem[NotificationDelivery] | None:
    """Replace the row of a delivery, or return None if another run has changed it."""
    try:
        return await services.tables.notification_deliveries.replace(kept, item)
    except (Conflict, NotFound):
        return None


async def _run_concurrently[T](work: Iterable[Awaitable[T]]) -> list[T]:
    return [
        result for some in batched(work, _AT_ONCE, strict=False) for result in await gather(*some)
    ]


def _build_notification(
    services: Services,
    sent: Sequence[tuple[PendingAction, StoredItem[NotificationDelivery]]],
    links: Mapping[str, MessageLink],
) -> Notification:
    names = [kept.item.notification_id for _, kept in sent]
    if len(sent) == 1:
        ((cause, _),), identity = sent, names[0]
    else:
        cause = build_digest([one for one, _ in sent])
        identity = f"digest-{hash_key(*sorted(names))}"
    link = links.get(cause.id) or build_message_link(cause, (), ())
    address = services.settings.own_address
    return Notification(
        id=identity,
        correlation_id=cause.id,
        pending_action=shorten_action(cause),
        created_at=services.now,
        link=f"{address}{link.path}" if address else "",
        link_title=link.title,
        flow_links=link.flow_urls
        or (tuple(f"{address}{path}" for path in list_flow_paths(cause)) if address else ()),
    )


async def _read_recipients(services: Services, notification: Notification) -> tuple[str, ...]:
    environment_id = notification.pending_action.environment_id
    if not environment_id:
        return ()
    try:
        settings = await read_environment_settings(services, environment_id)
    except UnreadableRow:  # the notification is more important than its recipients
        return ()
    return tuple(sorted(settings.notification_recipients))


def _group_notification_deliveries(
    known: Mapping[tuple[str, str], StoredItem[NotificationDelivery]],
) -> dict[str, list[NotificationDelivery]]:
    found: dict[str, list[NotificationDelivery]] = {}
    for (cause_id, _), kept in known.items():
        found.setdefault(cause_id, []).append(kept.item)
    return found
