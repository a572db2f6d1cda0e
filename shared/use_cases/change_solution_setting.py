"""Turn on an environment's setting that creates new flows in a solution, and revert the change.

The former value is stored before the write. Dataverse may accept a change and not keep it, so the
setting is read back. A change by somebody else in the meantime stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import readable, tell
from shared.domain.environment import ApprovalPolicy, Environment
from shared.domain.solution_setting import (
    SolutionSetting,
    SolutionSettingChange,
    SolutionSettingState,
)
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.lease_resource import LeasedResource, RequestHolder, lease_resource
from shared.steps.flows.read_back import WriteNotVisible, poll
from shared.steps.write_permission import check_write_allowed, read_environment_settings

_State = SolutionSettingState
_COMPLETED: Mapping[_State, _State] = {
    _State.APPLYING: _State.APPLIED,
    _State.REVERTING: _State.REVERTED,
}
#: After this time, no request waits for the change any longer.
_UNFINISHED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionSettingView:
    """The setting now, and the app's last change of it."""

    environment_id: str
    #: Whether new flows are created in a solution; None: never set.
    is_on: bool | None
    #: None: the app has not changed the setting.
    change: SolutionSettingChange | None


async def show_solution_setting(services: Services, environment_id: str) -> SolutionSettingView:
    """Read the setting of an environment; raise `NotFound`, `PlatformError`."""
    environment = await services.environments.get(environment_id)
    seen = await services.organization.read_solution_setting(environment)
    change = await read_change(services, environment.id)
    return SolutionSettingView(environment_id=environment.id, is_on=seen.is_on, change=change)


async def read_change(services: Services, environment_id: str) -> SolutionSettingChange | None:
    """Return the app's last change of the setting; None: there is none."""
    kept = await services.tables.solution_setting_changes.get("environment", environment_id)
    return kept.item if kept else None


async def needs_approver(services: Services, environment_id: str) -> bool:
    """Return whether only an approver may request a change in this environment."""
    settings = await read_environment_settings(services, environment_id)
    return settings.approval_policy is ApprovalPolicy.REQUIRED


async def turn_on_solution_setting(
    services: Services, environment_id: str, *, by: str
) -> SolutionSettingView:
    """Turn the setting on, and return it when the change is read back.

    Raises `JobBlocked` if the environment is read-only or Dataverse did not keep the change, and
    `MustWait` if the kill switch is on or the change is not visible yet.
    """
    environment = await services.environments.get(environment_id)
    async with lease_resource(RequestHolder(services=services), _resource(environment)) as held:
        change = await read_change(services, environment.id)
        seen = await services.organization.read_solution_setting(environment)
        # A revert that was interrupted may take effect after this read.
        is_reverting = change is not None and change.state is _State.REVERTING
        if seen.is_on and not is_reverting:
            if change and change.state is _State.APPLYING:
                change = await _complete(services, change)
            return _view(environment, seen, change)
        since = change.unseen_since if change and change.state is _State.APPLYING else None
        begun = SolutionSettingChange(
            environment_id=environment.id,
            former_value=change.former_value if change and is_reverting else seen.is_on,
            state=_State.APPLYING,
            changed_by=by,
            changed_at=services.now,
            unseen_since=since,
        )
        return await _write(services, environment, held, seen=seen, change=begun, wanted=True)


async def revert_solution_setting(
    services: Services, environment_id: str, *, by: str
) -> SolutionSettingView:
    """Restore the value that the setting had before the app turned it on.

    If somebody else has turned the setting off since, nothing is written. Raises the errors of
    `turn_on_solution_setting`, and `JobBlocked` if there is no change to revert.
    """
    environment = await services.environments.get(environment_id)
    async with lease_resource(RequestHolder(services=services), _resource(environment)) as held:
        change = await read_change(services, environment.id)
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
            return _view(environment, seen, await _complete(services, begun))
        return await _write(
            services, environment, held, seen=seen, change=begun, wanted=change.former_value
        )


async def complete_or_report_unfinished_changes(services: Services) -> None:
    """Complete changes that were started an hour ago and are visible; send alerts about the
    others.
    """
    table = services.tables.solution_setting_changes
    async for kept in readable(services, table.scan("environment")):
        change = kept.item
        if not change.is_under_way or services.now - change.changed_at < _UNFINISHED:
            continue
        try:
            environment = await services.environments.get(change.environment_id)
            seen = await services.organization.read_solution_setting(environment)
        except NotFound:  # the environment was deleted
            await table.delete(kept)
            continue
        wanted = True if change.state is _State.APPLYING else change.former_value
        if seen.is_on == wanted:
            await _complete(services, change)
            continue
        text = (
            f"{change.changed_by} started a change of the setting for new flows of "
            f"{environment.display_name}, which is not complete."
        )
        await tell(services, change.reason_code, table.name_of(change), text)


async def _write(
    services: Services,
    environment: Environment,
    held: LeasedResource,
    *,
    seen: SolutionSetting,
    change: SolutionSettingChange,
    wanted: bool | None,
) -> SolutionSettingView:
    """Write the setting, and read it back for some seconds."""
    since, deadline = change.unseen_since, services.settings.read_back_timeout
    if since and services.now - since >= deadline:
        raise await _record_not_kept(services, environment, change)

    async def permit() -> None:
        await check_write_allowed(services, environment.id)
        await _store(services, change)
        await held.permit()

    await perform(
        Write(
            permit=permit,
            call=lambda: services.organization.write_solution_setting(
                environment, seen.organization_id, is_on=wanted
            ),
        )
    )
    async for _ in poll(RequestHolder(services=services)):
        seen = await services.organization.read_solution_setting(environment)
        if seen.is_on == wanted:
            return _view(environment, seen, await _complete(services, change))
    since = since or services.now
    await _store(services, replace(change, unseen_since=since))
    raise WriteNotVisible(services, _title(environment), since=since)


async def _record_not_kept(
    services: Services, environment: Environment, change: SolutionSettingChange
) -> JobBlocked:
    """Return the error for a change that Dataverse accepted and did not keep.

    The next request starts again.
    """
    is_applying = change.state is _State.APPLYING
    state = _State.REVERTED if is_applying else _State.APPLIED
    await _store(services, replace(change, state=state, unseen_since=None))
    return JobBlocked(
        f"Dataverse accepted the change and did not keep it: {_title(environment)}.",
        fix=(
            "Change 'Create new cloud flows in Dataverse solutions' in the Power Platform admin "
            "center, under the environment's features."
        ),
        code=Reason.SOLUTION_SETTING_NOT_KEPT,
    )


async def _complete(services: Services, change: SolutionSettingChange) -> SolutionSettingChange:
    return await _store(services, replace(change, state=_COMPLETED[change.state]))


async def _store(services: Services, change: SolutionSettingChange) -> SolutionSettingChange:
    """Store the change; a completed one no longer waits to be visible."""
    if not change.is_under_way:
        change = replace(change, unseen_since=None)
    await services.tables.solution_setting_changes.upsert(change)
    return change


def _view(
    environment: Environment, seen: SolutionSetting, change: SolutionSettingChange | None
) -> SolutionSettingView:
    return SolutionSettingView(environment_id=environment.id, is_on=seen.is_on, change=change)


def _title(environment: Environment) -> str:
    return f"setting for new flows of {environment.display_name}"


def _resource(environment: Environment) -> str:
    return f"solution-setting/{environment.id}"
