"""Say why a copy cannot be created for its owner: the platform does not name them.

It is not created as the app and assigned afterwards instead: the app would own it for a moment, a
premium flow of an application needs another licence (platform.md#application-licences), and an
owner who cannot be acted for could not keep it running either. A person gives the original another
owner.
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
    """Return what to say in place of a refusal to create for the owner; None: not about that."""
    owner, title = await _owner(work, original), work.job.display_name
    if owner is None:
        return _blocked(
            f"The owner of {title} ({original.owner_id}) is no user of this environment: somebody "
            "who left, or a team.",
            "Add that person to the environment, or make the original a user's who is in it "
            "(Power Automate → the flow → Details → Primary owner); then retry.",
        )
    if owner.is_disabled:
        return _blocked(
            f"The owner of {title}, {owner.name}, is disabled.",
            "Make the original another user's (Power Automate → the flow → Details → Primary "
            "owner), or enable the account; then retry.",
        )
    if isinstance(error, PlatformError) and _is_about_acting(error):
        return _blocked(
            f"The app may not create the copy of {title} for its owner, {owner.name}: "
            f"{error.detail}",
            "Give the app's application user the security roles System Administrator and "
            "Delegate (prvActOnBehalfOfAnotherUser) in this environment; then retry.",
        )
    return None


def _is_about_acting(error: PlatformError) -> bool:
    """0x80040220 is any privilege that is missing, the owner's own too; its message names it."""
    if error.code == _ANY_PRIVILEGE:
        return _TO_ACT in error.detail
    return error.code in NOT_ON_BEHALF


async def _owner(work: StepContext, original: OriginalFlow) -> DataverseUser | None:
    principals, environment = work.services.principals, work.environment
    if not original.owner_is_entra_id:
        return await principals.user(environment, original.owner_id)
    users = await principals.users(environment, [original.owner_id])
    return users.get(original.owner_id.lower())


def _blocked(reason: str, instruction: str) -> JobBlocked:
    return JobBlocked(reason, instruction=instruction, code=Reason.OWNER_UNAVAILABLE)
