"""Turn on an environment's solution setting, or revert that.

The former value is stored before the write. Dataverse may accept a change and not keep it, so the
setting is read back.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import read_readable, send_alert
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import ApprovalPolicy, Environment
from shared.domain.solution_setting import (
    SolutionSetting,
    SolutionSettingChange,
    SolutionSettingState,
)
from shared.errors import Conflict, JobBlocked, NotFound
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.lease_resource import LeasedResource, RequestHolder, lease_resource
from shared.steps.flows.read_back import WriteNotVisible, iterate_read_attempts
from shared.steps.optional_read import read_or_no_answer
from shared.steps.write_permission import read_environment_settings, require_write_allowed

_State = SolutionSettingState
_COMPLETED: Mapping[_State, _State] = {
    _State.APPLYING: _State.APPLIED,
    _State.REVERTING: _State.REVERTED,
}
#: After this time, no request waits for the change any longer.
_UNFINISHED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionSettingView:
    """The current solution setting of an environment, and the app's last change of it."""

    environment_id: str
    #: Whether new flows are created in a solution; None: never set.
    is_on: bool | None
    #: None: the app has not changed the setting.
    change: SolutionSettingChange | None


@dataclass(slots=True)
class _Record:
    """The row of the app's change of the setting, as read."""

    services: Services
    kept: StoredItem[SolutionSettingChange] | None

    @property
    def change(self) -> SolutionSettingChange | None:
        return self.kept.item if self.kept else None

    async def store(self, change: SolutionSettingChange) -> SolutionSettingChange:
        """Store the change in the row. Raises `Conflict` if the row was changed since the read."""
        if not change.is_under_way:
            change = replace(change, unseen_since=None)
        table = self.services.tables.solution_setting_changes
        self.kept = await (table.replace(self.kept, change) if self.kept else table.insert(change))
        return change

    async def complete(self, change: SolutionSettingChange) -> SolutionSettingChange:
        return await self.store(replace(change, state=_COMPLETED[change.state]))


async def show_solution_setting(services: Services, environment_id: str) -> SolutionSettingView:
    """Return the solution setting of an environment, and the app's last change of it.

    Raises `NotFound` for an unknown environment, `JobBlocked` if it has no Dataverse, and
    `PlatformError` if the platform rejects the read.
    """
    environment = await _get_environment(services, environment_id)
    seen = await services.organization.read_solution_setting(environment)
    change = await read_solution_setting_change(services, environment.id)
    return SolutionSettingView(environment_id=environment.id, is_on=seen.is_on, change=change)


async def _get_environment(services: Services, environment_id: str) -> Environment:
    environment = await services.environments.get(environment_id)
    if environment.dataverse_url is None:
        raise JobBlocked(
            f"{environment.display_name} has no Dataverse, so it has no setting for new flows.",
            code=Reason.NO_DATAVERSE,
        )
    return environment


async def read_solution_setting_change(
    services: Services, environment_id: str
) -> SolutionSettingChange | None:
    """Return the app's last change of an environment's solution setting, or None."""
    return (await _read_record(services, environment_id)).change


async def needs_approver(services: Services, environment_id: str) -> bool:
    """Return whether only an approver may request a change of the setting."""
    settings = await read_environment_settings(services, environment_id)
    return settings.approval_policy is ApprovalPolicy.REQUIRED


async def turn_on_solution_setting(
    services: Services, environment_id: str, *, by: str
) -> SolutionSettingView:
    """Turn on the solution setting, and return it after the change was read back.

    Raises `JobBlocked` if the environment has no Dataverse or is read-only, or Dataverse did not
    keep the change. Raises `MustWait` if no write is allowed now, another request writes the
    setting, or the change is not visible yet.
    """
    environment = await _get_environment(services, environment_id)
    async with lease_resource(
        RequestHolder(services=services), _format_resource_id(environment)
    ) as held:
        record = await _read_record(services, environment.id)
        change = record.change
        seen = await services.organization.read_solution_setting(environment)
        # A revert that was interrupted may take effect after this read.
        is_reverting = change is not None and change.state is _State.REVERTING
        if seen.is_on and not is_reverting:
            if change and change.state is _State.APPLYING:
                change = await record.complete(change)
            return _build_setting_view(environment, seen, change)
        since = change.unseen_since if change and change.state is _State.APPLYING else None
        begun = SolutionSettingChange(
            environment_id=environment.id,
            former_value=change.former_value if change and is_reverting else seen.is_on,
            state=_State.APPLYING,
            changed_by=by,
            changed_at=services.now,
            unseen_since=since,
        )
        return await _write_setting(record, environment, held, seen=seen, change=begun, wanted=True)


async def revert_solution_setting(
    services: Services, environment_id: str, *, by: str
) -> SolutionSettingView:
    """Restore the value that the solution setting had before the app turned it on.

    Writes nothing if somebody else has turned the setting off since. Raises the errors of
    `turn_on_solution_setting`, and `JobBlocked` if there is no change to revert.
    """
    environment = await _get_environment(services, environment_id)
    async with lease_resource(
        RequestHolder(services=services), _format_resource_id(environment)
    ) as held:
        record = await _read_record(services, environment.id)
        change = record.change
        if change is None or change.state is _State.REVERTED:
            raise JobBlocked(
                f"The app has not changed the setting for new flows of {environment.display_name}.",
                code=Reason.SOLUTION_SETTING_UNCHANGED,
            )
        seen = await services.organization.read_solution_setting(environment)
        # A change that was interrupted may take effect after this read: the former value is then
        # written although the read shows it.
        is_theirs = not seen.is_on and change.state is not _State.APPLYING
        begun = replace(
            change,
            state=_State.REVERTING,
            changed_by=by,
            changed_at=services.now,
            unseen_since=change.unseen_since if change.state is _State.REVERTING else None,
        )
        if is_theirs:
            return _build_setting_view(environment, seen, await record.complete(begun))
        return await _write_setting(
            record, environment, held, seen=seen, change=begun, wanted=change.former_value
        )


async def complete_or_report_unfinished_changes(services: Services) -> None:
    """Complete changes that began an hour ago or earlier and are visible.

    Sends an alert about each such change that is not visible.
    """
    rows = services.tables.solution_setting_changes.scan("environment")
    async for kept in read_readable(services, rows):
        if kept.item.is_under_way and services.now - kept.item.changed_at >= _UNFINISHED:
            with suppress(Conflict, NotFound):  # a request has changed the row
                await _complete_or_report_change(services, kept)


async def _complete_or_report_change(
    services: Services, kept: StoredItem[SolutionSettingChange]
) -> None:
    change, table = kept.item, services.tables.solution_setting_changes
    try:
        environment = await services.environments.get(change.environment_id)
    except NotFound:  # it was deleted
        await table.delete(kept)
        return
    seen = await read_or_no_answer(services.organization.read_solution_setting(environment))
    wanted = True if change.state is _State.APPLYING else change.former_value
    unread = f" It cannot be read: {seen.message}" if isinstance(seen, NoAnswer) else ""
    if not isinstance(seen, NoAnswer) and seen.is_on == wanted:
        await _Record(services, kept).complete(change)
        return
    text = (
        f"{change.changed_by} started a change of the setting for new flows of "
        f"{environment.display_name}, which is not confirmed.{unread}"
    )
    await send_alert(services, change.reason_code, table.get_row_name(change), text)


async def _read_record(services: Services, environment_id: str) -> _Record:
    table = services.tables.solution_setting_changes
    return _Record(services, await table.get("environment", environment_id))


async def _write_setting(
    record: _Record,
    environment: Environment,
    held: LeasedResource,
    *,
    seen: SolutionSetting,
    change: SolutionSettingChange,
    wanted: bool | None,
) -> SolutionSettingView:
    """Write the setting, then wait some seconds until a read shows the new value."""
    services = record.services
    since, deadline = change.unseen_since, services.settings.read_back_timeout
    if since and services.now - since >= deadline:
        raise await _record_change_not_kept(record, environment, change)

    async def record_change_if_allowed() -> None:
        await require_write_allowed(services, environment.id)
        await record.store(change)
        await held.require_leases()

    await perform(
        Write(
            permit=record_change_if_allowed,
            call=lambda: services.organization.write_solution_setting(
                environment, seen.organization_id, is_on=wanted
            ),
        )
    )
    async for _ in iterate_read_attempts(RequestHolder(services=services)):
        seen = await services.organization.read_solution_setting(environment)
        if seen.is_on == wanted:
            return _build_setting_view(environment, seen, await record.complete(change))
    since = since or services.now
    await record.store(replace(change, unseen_since=since))
    raise WriteNotVisible(services, _format_title(environment), since=since)


async def _record_change_not_kept(
    record: _Record, environment: Environment, change: SolutionSettingChange
) -> JobBlocked:
    """Store that Dataverse did not keep the change, and return the error for that."""
    is_applying = change.state is _State.APPLYING
    state = _State.REVERTED if is_applying else _State.APPLIED
    await record.store(replace(change, state=state))
    return JobBlocked(
        f"Dataverse accepted the change and did not keep it: {_format_title(environment)}.",
        fix=(
            "Change 'Create new cloud flows in Dataverse solutions' in the Power Platform admin "
            "center, under the environment's features."
        ),
        code=Reason.SOLUTION_SETTING_NOT_KEPT,
    )


def _build_setting_view(
    environment: Environment, seen: SolutionSetting, change: SolutionSettingChange | None
) -> SolutionSettingView:
    return SolutionSettingView(environment_id=environment.id, is_on=seen.is_on, change=change)


def _format_title(environment: Environment) -> str:
    return f"setting for new flows of {environment.display_name}"


def _format_resource_id(environment: Environment) -> str:
    return f"solution-setting/{environment.id}"
