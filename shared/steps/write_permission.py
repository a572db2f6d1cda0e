"""Require that the kill switch, the approval policy and the maintenance window allow a write, and
that an environment is still linked to its policy.
"""

from datetime import UTC, datetime, timedelta

from shared.domain.environment import ApprovalPolicy, Environment, EnvironmentSettings
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.maintenance_window import find_next_opening
from shared.domain.kill_switch import KillSwitch
from shared.errors import JobBlocked, MustWait, NotFound, UnreadableRow
from shared.reason import Reason
from shared.services import Services

KILL_SWITCH = "kill-switch"


async def read_environment_settings(services: Services, environment_id: str) -> EnvironmentSettings:
    """Return the settings of an environment. Without stored settings, it is read-only."""
    kept = await services.tables.environment_settings.get("environment", environment_id)
    return kept.item if kept else EnvironmentSettings(environment_id=environment_id)


async def find_kill_switch(services: Services) -> KillSwitch | None:
    """Return the kill switch, or None if it was never used and is therefore off.

    If its row cannot be read, returns a switch that is on.
    """
    try:
        kept = await services.tables.kill_switch.get("kill_switch", KILL_SWITCH)
    except UnreadableRow as err:
        at = datetime.fromtimestamp(0, UTC)
        return KillSwitch(
            name=KILL_SWITCH, is_on=True, changed_by="", changed_at=at, justification=f"{err}."
        )
    return kept.item if kept else None


async def require_write_allowed(
    services: Services,
    environment_id: str,
    *,
    anytime: bool = False,
    settings: EnvironmentSettings | None = None,
) -> None:
    """Raise `MustWait` or `JobBlocked` unless a write is allowed now.

    `anytime`: ignore the maintenance window. `settings` are those of the environment, if they were
    just read.
    """
    switch = await find_kill_switch(services)
    if switch and switch.is_on:
        until = services.now + services.settings.wait_poll_interval
        text = Reason.KILL_SWITCH_ON.meaning
        if not switch.changed_by:
            text = f"{switch.justification} The app treats it as on and does not make this change."
        raise MustWait(text, until=until, code=Reason.KILL_SWITCH_ON)
    settings = settings or await read_environment_settings(services, environment_id)
    if settings.approval_policy is ApprovalPolicy.READ_ONLY:
        raise JobBlocked(
            f"Environment {environment_id} has approval policy read_only: the app writes nothing.",
            fix="Set its approval policy to required or automatic, then retry.",
            code=Reason.ENVIRONMENT_READ_ONLY,
        )
    window = settings.maintenance_window
    opening = find_next_opening(window, services.now)
    if opening and not anytime:
        text = f"Outside the maintenance window {window} UTC."
        raise MustWait(text, until=opening, code=Reason.OUTSIDE_MAINTENANCE_WINDOW)


def require_flow_not_excluded(settings: EnvironmentSettings, job: FlowJob) -> None:
    """Raise `JobBlocked` if an administrator has excluded the original of this job."""
    if job.original.ids & settings.excluded_flows:
        raise JobBlocked(
            f"{job.display_name} is excluded: the app does not change it.",
            code=Reason.FLOW_EXCLUDED,
        )


async def require_linked_environment(
    services: Services, environment_id: str, policy_id: str, *, anew: bool = False
) -> Environment:
    """Return the environment if it is still linked to this policy.

    Raises `MustWait` if it is not. Uses what was read within the last minute, unless `anew`.
    """
    environment = await _read_environment(services, environment_id, anew=anew)
    link = environment.policy
    if link is None:
        text = "The environment is no longer linked to an encryption policy."
    elif policy_id and link.policy_id.lower() != policy_id.lower():
        text = "The environment was moved to another encryption policy."
    elif not environment.is_linked:
        text = f"The status of the environment's policy is {link.status}."
    else:
        return environment
    later = services.now + max(services.settings.wait_poll_interval, timedelta(seconds=1))
    raise MustWait(text, until=later, code=Reason.KEY_NOT_APPLIED)


async def require_environment_without_key(
    services: Services, environment_id: str, *, even_linked: bool
) -> Environment:
    """Return the environment of a job that prepares it for a key.

    Raises `JobBlocked` once a policy is linked, unless the job is rolled back (`even_linked`).
    """
    environment = await _read_environment(services, environment_id)
    if environment.policy is not None and not even_linked:
        raise JobBlocked(
            f"{environment.display_name} is now linked to an encryption policy.",
            fix=(
                "Cancel this job. A remediation in mode apply copies the flows that stay on "
                "Microsoft's key."
            ),
            code=Reason.KEY_ALREADY_APPLIED,
        )
    return environment


async def _read_environment(
    services: Services, environment_id: str, *, anew: bool = False
) -> Environment:
    read = services.environments.get if anew else services.environments.get_cached
    try:
        return await read(environment_id)
    except NotFound as err:
        raise JobBlocked(
            f"Environment {environment_id} does not exist.",
            fix="Cancel the job.",
            code=Reason.ENVIRONMENT_NOT_FOUND,
        ) from err
