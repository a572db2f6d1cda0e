"""Share a copy with the principals that its original is shared with.

Principals with other rights on the copy get those that they have on the original. Principals who
are not co-owners of the original keep their access to the copy. Sharing is compared when the copy
is created, and again when the original is retired, because it may change during the no-call period.
"""

from dataclasses import dataclass

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowPermission
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import add_notes
from shared.domain.sharing import (
    TEAMS,
    USERS,
    DataversePrincipal,
    MissingShare,
    Share,
    exclude_principals,
    list_missing_shares,
    list_rights,
    list_shares_to_copy,
)
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.steps.copying.solutions_and_shares import SolutionsAndShares
from shared.steps.flows.effect import SKIP, Effect, Refusal, Reply, Write, apply_effect
from shared.steps.flows.original import OriginalFlow
from shared.steps.flows.temporary_co_ownership import may_have_granted_co_ownership
from shared.steps.step_context import StepContext

#: There is no API to read or write that list (platform.md#run-only-users), so a person has to.
RUN_ONLY_NOTE = (
    "Compare the run-only users of the copy with those of the original (Power Automate → the "
    "flow → Run only users → Edit). Microsoft has no API for that list, and users who are not in "
    "it cannot run the copy."
)


#: Start of the notes that say with whom the copy could not be shared.
_NOT_SHARED = "The copy is not shared with the "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    shares: tuple[Share, ...]
    notes: tuple[str, ...] = ()


async def share_copy(
    work: StepContext, original: OriginalFlow, belonging: SolutionsAndShares
) -> FlowJob:
    """Share the copy as the original is shared.

    Return the job with the principals that the copy is now shared with, and with notes for a
    person. Raises `JobBlocked` if the platform rejects or loses a share.
    """
    wanted = await _read_wanted_shares(work, original, belonging)
    notes = list(wanted.notes)
    if TriggerCategory(work.job.original.category).can_have_run_only_users:
        notes.append(RUN_ONLY_NOTE)
    unable: dict[DataversePrincipal, str] = {}

    def select_possible_shares() -> tuple[Share, ...]:
        return tuple(share for share in wanted.shares if share.principal not in unable)

    shared = Effect(
        title=f"The co-owners of the copy of {work.job.display_name}",
        read=lambda: _read_missing_shares(work, select_possible_shares()),
        missing=lambda missing: [_build_share_write(work, one, unable) for one in missing],
        not_kept=lambda _: JobBlocked(
            f"The platform accepted the request to share the copy of {work.job.display_name} with "
            "the co-owners of the original, but not all of them have access.",
            fix="Share the copy in Power Automate as the original is shared, then retry.",
            code=Reason.SHARING_REJECTED,
        ),
    )
    await apply_effect(work, shared)
    notes += unable.values()
    names = tuple(str(share.principal) for share in select_possible_shares())
    notes += [
        f"The original is no longer shared with the {name}, but the copy still is. Remove the "
        "share from the copy too if that was intended."
        for name in work.job.copy.shared_with
        if name not in names and name not in map(str, unable)
    ]
    # The cause of an earlier note may have been fixed since.
    others = tuple(note for note in work.job.notes if not note.startswith(_NOT_SHARED))
    return add_notes(
        replace(work.job, copy=replace(work.job.copy, shared_with=names), notes=others), *notes
    )


async def _read_wanted_shares(
    work: StepContext, original: OriginalFlow, belonging: SolutionsAndShares
) -> _Wanted:
    services, environment, job = work.services, work.environment, work.job
    owner = job.copy.owner_id or original.owner_id
    # The service account is co-owner only while it reads the URL (platform.md#co-owners).
    service_account = (
        await services.flow_access.read_account_id()
        if await may_have_granted_co_ownership(work)
        else ""
    )
    if original.etag and job.original.in_solution:
        # For solution flows, Dataverse's sharing is authoritative (platform.md#flow-permissions).
        found = _Wanted(shares=belonging.shares)
    else:
        permissions = await services.flow_access.read_permissions(
            environment.id, job.original.flow_name
        )
        known = owner if original.owner_is_entra_id else ""
        found = await _find_dataverse_shares(
            work, exclude_principals(permissions, known, service_account)
        )
    if owner.lower() != original.owner_id.lower():
        found = await _with_new_owner(work, original, found)
    if not found.shares:
        return found
    left_out = {await services.principals.read_application_user(environment)}
    if not original.owner_is_entra_id:
        left_out.add(DataversePrincipal(table=USERS, id=owner.lower()))
    if service_account:
        users = await services.principals.read_users(environment, [service_account])
        left_out |= {user.principal for user in users.values()}
    return replace(found, shares=list_shares_to_copy(found.shares, left_out))


async def _with_new_owner(work: StepContext, original: OriginalFlow, found: _Wanted) -> _Wanted:
    services, environment, owner = work.services, work.environment, original.owner_id.lower()
    if original.owner_is_entra_id:
        row = (await services.principals.read_users(environment, [owner])).get(owner)
    else:
        row = await services.principals.read_user(environment, owner)
    if row is None and original.owner_is_entra_id:
        return found  # the note about an unknown co-owner says so
    principal = row.principal if row else DataversePrincipal(table=TEAMS, id=owner)
    copy = await services.workflows.get(environment, work.job.copy.id)
    if copy.owner_id.lower() == principal.id:
        others = tuple(share for share in found.shares if share.principal != principal)
        return replace(found, shares=others)
    note = (
        f"The original was given to the {principal} after it was copied. The copy is shared with "
        "them, but still belongs to the first owner. Change its owner (Power Automate → the flow "
        "→ Details → Primary owner)."
    )
    share = Share(principal=principal, rights=list_rights("Owner"))
    return _Wanted(shares=(*found.shares, share), notes=(*found.notes, note))


async def _find_dataverse_shares(work: StepContext, others: list[FlowPermission]) -> _Wanted:
    services, environment = work.services, work.environment
    people = [one.principal_id for one in others if not one.is_group]
    groups = [one.principal_id for one in others if one.is_group]
    rows: dict[str, DataversePrincipal] = {}
    if people:
        users = await services.principals.read_users(environment, people)
        rows |= {entra_id: user.principal for entra_id, user in users.items()}
    if groups:
        rows |= await services.principals.read_teams(environment, groups)
    shares: list[Share] = []
    notes: list[str] = []
    for one in others:
        principal = rows.get(one.principal_id.lower())
        if principal:
            shares.append(Share(principal=principal, rights=list_rights(one.role)))
            continue
        kind = "group" if one.is_group else (one.principal_type or "user").lower()
        remedy = "create a team for it" if one.is_group else "add it to the environment"
        notes.append(
            f"{_NOT_SHARED}{kind} {one.principal_id} ({one.role} of the original), which this "
            f"environment's Dataverse does not know: {remedy}, then share the copy with it."
        )
    return _Wanted(shares=tuple(shares), notes=tuple(notes))


async def _read_missing_shares(work: StepContext, wanted: tuple[Share, ...]) -> list[MissingShare]:
    if not wanted:
        return []
    held = await work.services.flow_sharing.list(work.environment, work.job.copy.id)
    return list_missing_shares(wanted, held)


def _build_share_write(
    work: StepContext, missing: MissingShare, unable: dict[DataversePrincipal, str]
) -> Write:
    """Return the write that shares the copy. If the principal has left, the write adds a note to
    `unable`.
    """
    sharing, share, copy_id = work.services.flow_sharing, missing.share, work.job.copy.id
    change = sharing.modify if missing.has_others else sharing.grant

    async def handle_error(err: Refusal) -> Reply:
        if await _has_left(work, share.principal):
            unable[share.principal] = (
                f"{_NOT_SHARED}{share.principal}, a co-owner of the original who is disabled or "
                "was removed."
            )
            return SKIP
        return JobBlocked(
            f"The copy of {work.job.display_name} cannot be shared with the {share.principal}: "
            f"{err}",
            fix=(
                "Give the app's application user the role System Administrator (or the privilege "
                "prvShareWorkflow), or share the copy yourself as the original is shared. Then "
                "retry."
            ),
            code=Reason.SHARING_REJECTED,
        )

    return Write(
        permit=work.require_write_allowed,
        call=lambda: change(work.environment, copy_id, share),
        on_refusal=handle_error,
    )


async def _has_left(work: StepContext, principal: DataversePrincipal) -> bool:
    if principal.table != USERS:
        return False
    user = await work.services.principals.read_user(work.environment, principal.id)
    return user is None or user.is_disabled
