"""Explain why a copy cannot be created for its owner, which the platform's error does not say.

The app does not create the copy as itself and then reassign it: it would own the copy for a moment,
and a premium flow of an application needs another licence (platform.md#application-licences).
"""

from shared.domain.platform_errors import NOT_ON_BEHALF
from shared.domain.sharing import DataverseUser
from shared.errors import JobBlocked, NotFound, PlatformError
from shared.reason import Reason
from shared.steps.flows.original import OriginalFlow
from shared.steps.step_context import StepContext

_ANY_PRIVILEGE = "0x80040220"
_TO_ACT = "prvActOnBehalfOfAnotherUser"


async def explain_owner(
    work: StepContext, original: OriginalFlow, error: PlatformError | NotFound
) -> JobBlocked | None:
    """Return why the app cannot act for the owner, or None if there is no such reason."""
    owner, title = await _read_owner(work, original), work.job.display_name
    if owner is None:
        return _build_job_blocked(
            f"The owner of {title} ({original.owner_id}) is not a user of this environment: the "
            "person has left, or the owner is a team.",
            "Add that person to the environment, or give the original an owner who is in it "
            "(Power Automate → the flow → Details → Primary owner). Then retry.",
        )
    if owner.is_disabled:
        return _build_job_blocked(
            f"The owner of {title}, {owner.name}, is disabled.",
            "Give the original another owner (Power Automate → the flow → Details → Primary "
            "owner), or enable the account. Then retry.",
        )
    if isinstance(error, PlatformError) and _is_about_acting_for_owner(error):
        return _build_job_blocked(
            f"The app may not create the copy of {title} for its owner, {owner.name}: "
            f"{error.detail}",
            "Give the app's application user the security roles System Administrator and "
            "Delegate (prvActOnBehalfOfAnotherUser) in this environment. Then retry.",
        )
    return None


def _is_about_acting_for_owner(error: PlatformError) -> bool:
    # It means any missing privilege, also one of the owner. The message names the privilege.
    if error.code == _ANY_PRIVILEGE:
        return _TO_ACT in error.detail
    return error.code in NOT_ON_BEHALF


async def _read_owner(work: StepContext, original: OriginalFlow) -> DataverseUser | None:
    principals, environment = work.services.principals, work.environment
    if not original.owner_is_entra_id:
        return await principals.read_user(environment, original.owner_id)
    users = await principals.read_users(environment, [original.owner_id])
    return users.get(original.owner_id.lower())


def _build_job_blocked(reason: str, fix: str) -> JobBlocked:
    return JobBlocked(reason, fix=fix, code=Reason.OWNER_UNAVAILABLE)
