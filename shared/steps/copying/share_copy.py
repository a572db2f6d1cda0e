"""Share a copy with whom its original is shared with.

The original decides until it is retired: who has other rights on the copy gets the same, and who
is not a co-owner of the original is left alone. Compared once when the copy is made and once more
when the original is retired, for sharing goes on during the quiet days.
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
    missing_shares,
    others_than,
    rights_of,
    shares_to_copy,
)
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.steps.copying.solutions_and_shares import SolutionsAndShares
from shared.steps.flows.effect import SKIP, Effect, Refusal, Reply, Write, apply
from shared.steps.flows.original import OriginalFlow
from shared.steps.flows.temporary_co_ownership import is_granted_by_app
from shared.steps.step_context import StepContext

#: There is no interface to read or write that list (platform.md#run-only-users), so a person has
#: to.
RUN_ONLY_NOTE = (
    "Compare the run-only users of the copy with those of the original by hand (Power Automate → "
    "the flow → Run only users → Edit): Microsoft has no interface for that list, and who is "
    "missing in it cannot run the copy."
)


#: How the notes begin that say whom the copy could not be shared with.
_NOT_SHARED = "The copy is not shared with the "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    shares: tuple[Share, ...]
    notes: tuple[str, ...] = ()


async def share_copy(
    work: StepContext, original: OriginalFlow, belonging: SolutionsAndShares
) -> FlowJob:
    """Return the job with whom its copy is shared with now, and with what is left to a person.

    Raises `JobBlocked` if the platform refuses to share, or does not keep it.
    """
    wanted = await _wanted(work, original, belonging)
    notes = list(wanted.notes)
    if TriggerCategory(work.job.category).can_have_run_only_users:
        notes.append(RUN_ONLY_NOTE)
    unable: dict[DataversePrincipal, str] = {}

    def shares() -> tuple[Share, ...]:
        return tuple(share for share in wanted.shares if share.principal not in unable)

    shared = Effect(
        title=f"The co-owners of the copy of {work.job.display_name}",
        read=lambda: _missing(work, shares()),
        missing=lambda missing: [_giving(work, one, unable) for one in missing],
        not_kept=lambda _: JobBlocked(
            f"The platform accepted to share the copy of {work.job.display_name} with "
            f"{len(shares())} co-owners of the original, but not all of them have it.",
            instruction="Share the copy in Power Automate as the original is shared, then retry.",
            code=Reason.SHARING_REJECTED,
        ),
    )
    await apply(work, shared)
    notes += unable.values()
    names = tuple(str(share.principal) for share in shares())
    notes += [
        f"The original is not shared with the {name} any more, the copy still is: take it away "
        "there too if that was meant."
        for name in work.job.copy_shared_with
        if name not in names and name not in map(str, unable)
    ]
    # What stood in the way when the copy was made may have been settled since.
    others = tuple(note for note in work.job.notes if not note.startswith(_NOT_SHARED))
    return add_notes(replace(work.job, copy_shared_with=names, notes=others), *notes)


async def _wanted(
    work: StepContext, original: OriginalFlow, belonging: SolutionsAndShares
) -> _Wanted:
    """Return what the copy is to be shared with: not its owner, and nobody the app put there."""
    services, environment, job = work.services, work.environment, work.job
    owner = job.copy_owner_id or original.owner_id
    # The operator is co-owner for the moment it reads the URL, and has to leave
    # (platform.md#co-owners).
    operator = await services.flow_access.account_id() if await is_granted_by_app(work) else ""
    if original.etag and job.in_solution:
        # Dataverse's sharing is the one that counts for flows of a solution
        # (platform.md#flow-permissions).
        found = _Wanted(shares=belonging.shares)
    else:
        permissions = await services.flow_access.permissions(environment.id, job.flow_name)
        known = owner if original.owner_is_entra_id else ""
        found = await _as_rows(work, others_than(permissions, known, operator))
    if owner.lower() != original.owner_id.lower():
        found = await _with_new_owner(work, original, found)
    if not found.shares:
        return found
    left_out = {await services.principals.application(environment)}
    if not original.owner_is_entra_id:
        left_out.add(DataversePrincipal(table=USERS, id=owner.lower()))
    if operator:
        users = await services.principals.users(environment, [operator])
        left_out |= {user.principal for user in users.values()}
    return replace(found, shares=shares_to_copy(found.shares, left_out))


async def _with_new_owner(work: StepContext, original: OriginalFlow, found: _Wanted) -> _Wanted:
    """Add whom the original was given after it was copied: the copy stays its first owner's."""
    services, environment, owner = work.services, work.environment, original.owner_id.lower()
    if original.owner_is_entra_id:
        row = (await services.principals.users(environment, [owner])).get(owner)
    else:
        row = await services.principals.user(environment, owner)
    if row is None and original.owner_is_entra_id:
        return found  # the note of a co-owner whom Dataverse does not know says so
    principal = row.principal if row else DataversePrincipal(table=TEAMS, id=owner)
    copy = await services.workflows.get(environment, work.job.copy_id)
    if copy.owner_id.lower() == principal.id:
        others = tuple(share for share in found.shares if share.principal != principal)
        return replace(found, shares=others)
    note = (
        f"The original was given to the {principal} after it was copied. The copy is shared with "
        "them and stays its first owner's: make it theirs (Power Automate → the flow → Details → "
        "Primary owner)."
    )
    share = Share(principal=principal, rights=rights_of("Owner"))
    return _Wanted(shares=(*found.shares, share), notes=(*found.notes, note))


async def _as_rows(work: StepContext, others: list[FlowPermission]) -> _Wanted:
    """Return co-owners whom the flow service names as what Dataverse calls them."""
    services, environment = work.services, work.environment
    people = [one.principal_id for one in others if not one.is_group]
    groups = [one.principal_id for one in others if one.is_group]
    rows: dict[str, DataversePrincipal] = {}
    if people:
        users = await services.principals.users(environment, people)
        rows |= {entra_id: user.principal for entra_id, user in users.items()}
    if groups:
        rows |= await services.principals.teams(environment, groups)
    shares: list[Share] = []
    notes: list[str] = []
    for one in others:
        principal = rows.get(one.principal_id.lower())
        if principal:
            shares.append(Share(principal=principal, rights=rights_of(one.role)))
            continue
        kind = "group" if one.is_group else (one.principal_type or "user").lower()
        remedy = "make a team of it" if one.is_group else "add it to the environment"
        notes.append(
            f"{_NOT_SHARED}{kind} {one.principal_id} ({one.role} of the "
            f"original), which this environment's Dataverse does not know: {remedy}, then share "
            "the copy with it."
        )
    return _Wanted(shares=tuple(shares), notes=tuple(notes))


async def _missing(work: StepContext, wanted: tuple[Share, ...]) -> list[MissingShare]:
    if not wanted:
        return []
    held = await work.services.flow_sharing.list(work.environment, work.job.copy_id)
    return missing_shares(wanted, held)


def _giving(
    work: StepContext, missing: MissingShare, unable: dict[DataversePrincipal, str]
) -> Write:
    """Return the write that shares the copy with one principal.

    If they have left, the write adds to `unable` why it is not shared with them.
    """
    sharing, share, copy_id = work.services.flow_sharing, missing.share, work.job.copy_id
    change = sharing.modify if missing.has_others else sharing.grant

    async def refused(err: Refusal) -> Reply:
        if await _has_left(work, share.principal):
            unable[share.principal] = (
                f"{_NOT_SHARED}{share.principal}, a co-owner of the original "
                "who is disabled or gone."
            )
            return SKIP
        return JobBlocked(
            f"The copy of {work.job.display_name} cannot be shared with the {share.principal}: "
            f"{err}",
            instruction="Give the app's application user the role System Administrator (or the "
            "privilege prvShareWorkflow), or share the copy by hand as the original is shared; "
            "then retry.",
            code=Reason.SHARING_REJECTED,
        )

    return Write(
        permit=work.check_write_allowed,
        call=lambda: change(work.environment, copy_id, share),
        on_refusal=refused,
    )


async def _has_left(work: StepContext, principal: DataversePrincipal) -> bool:
    if principal.table != USERS:
        return False
    user = await work.services.principals.user(work.environment, principal.id)
    return user is None or user.is_disabled
