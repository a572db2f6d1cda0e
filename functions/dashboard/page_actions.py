"""What may be done from a page: said before it is done, and refused with the reason why.

Each is a form that is sent to the route of the API that does it, so roles, checks and the trail are
those of the API. A script is not needed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.endpoints import endpoint_of
from functions.routes import ROUTES
from shared.domain.jobs.backlog_replay import describe_replays, find_replays
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.principal import Principal, PrincipalKind
from shared.reason import Reason
from shared.use_cases.change_remediation import dependent_groups
from shared.use_cases.manage_firewall_fixes import FirewallFixView
from shared.use_cases.show_remediation import PlanView, RemediationView

#: Titles that are named; of the others it is said how many there are.
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAction:
    """One thing that may be done."""

    title: str
    #: Address of the route that does it, and what is sent: a name that ends in `[]` is a list.
    action: str
    fields: tuple[tuple[str, str], ...] = ()
    #: What it will do, a sentence each.
    does: tuple[str, ...]
    #: What the order has to accept: name of the member, and what is accepted.
    accepts: tuple[str, str] = ("", "")
    #: What has to be written: name of the member, and what for.
    asks: tuple[str, str] = ("", "")
    #: Why whoever looks may not; empty: they may.
    refusal: str = ""
    is_danger: bool = False
    #: Nobody knows who it is: a name has to be given.
    asks_name: bool = False


def deeds_of_remediation(
    shown: RemediationView, principal: Principal, now: datetime, *, is_whole: bool = True
) -> list[PageAction]:
    """Return what may be done with a remediation as a whole.

    Without `is_whole` not all of its jobs were read, and what would be undone cannot be said.
    """
    jobs, environments = shown.jobs, shown.environment_jobs
    identity, found = shown.remediation.id, []
    stuck = [job for job in jobs if job.is_stuck]
    whole = [job for job in environments if job.is_stuck]
    if stuck or whole:
        does = [_goes_on(stuck)] if stuck else []
        if looks := sum(job.is_paused for job in jobs) - len(stuck):
            does.append(
                f"{_flows(looks)} that wait look again at once, and wait on if they have to."
            )
        does += [f"The work in {job.environment_name} goes on at {_at(job)}." for job in whole]
        found.append(_deed("retry", "Retry what is blocked", identity, principal, does=does))
    if not is_whole:
        return found
    begins = any(job.may_begin_more for job in environments)
    no_more = ("Nothing more of it begins, also what waits for approval.",) if begins else ()
    all_begun = [job for job in jobs if _can_go_back(job)]
    rest, open_ones = all_begun, [job for job in jobs if not job.is_done]
    if len(open_ones) < len(jobs):
        rest = [job for job in dependent_groups(open_ones, jobs) if _can_go_back(job)]
    undoes = _undoes(all_begun)
    for what, title, undone, undoing in (
        ("cancel", "Cancel the rest", rest, undoes if rest is all_begun else _undoes(rest)),
        ("roll-back", "Roll all back", all_begun, undoes),
    ):
        if undone or (begins and what == "cancel"):
            does = [*no_more, *undoing]
            found.append(_undo(what, title, identity, principal, does, undone, now))
    return found


def deeds_of_flow(
    job: FlowJob | None, family: Sequence[FlowJob], principal: Principal, now: datetime
) -> list[PageAction]:
    """Return what may be done with one flow; `family` goes back with it."""
    if job is None:
        return []
    found, this = [], (("flows[]", job.original_id),)
    if job.is_paused:
        does = [_goes_on([job])]
        title = "Retry" if job.is_stuck else "Look again now"
        retry = _deed("retry", title, job.remediation_id, principal, does=does, fields=this)
        found.append(retry)
    if _can_go_back(job):
        undone = [one for one in family if _can_go_back(one)]
        found.append(
            _undo(
                "roll-back",
                "Roll back" if len(undone) < 2 else f"Roll back with its family of {len(undone)}",
                job.remediation_id, principal, _undoes(undone), undone, now, fields=this,
            )
        )  # fmt: skip
    return found


def approval(
    remediation_id: str, plan: PlanView, version: str, principal: Principal, refusal: str
) -> PageAction:
    """Return the approval of a plan as it is shown; `refusal`: why nobody's role is enough."""
    awaiting = frozenset(plan.awaiting)
    items = [item for item in plan.items if item.workflow_id in awaiting]
    writes = sum(len(item.writes) for item in items)
    unknown = sum(bool(item.not_known) for item in items)
    does = [
        f"The app makes the {writes} writes that are listed below, flow by flow.",
        "Callers that it finds until the cut-over are updated too.",
        f"A flow that changes meanwhile waits for another approval: this is of version {version}.",
    ]
    if unknown:
        does.append(f"Of {_flows(unknown)} something cannot be known before: that is accepted.")
    return _deed(
        "approve",
        f"Approve the work on {_flows(len(items))}",
        remediation_id,
        principal,
        fields=(("versions[]", version),),
        does=does,
        refusal=refusal,
    )


def ignore_action(
    job: EnvironmentJob, gap: FirewallIssueSummary, principal: Principal
) -> PageAction:
    """Return the word that a firewall may stay as it is."""
    where = job.environment_name or job.environment_id
    return _deed(
        "waivers",
        "Accept this gap",
        job.environment_id,
        principal,
        path="environments/{id}/waivers",
        fields=(("gap", gap.name),),
        asks=("reason", "Why it may stay; kept with your name"),
        does=[
            f"{_flows(gap.flows)} in {where} go on though this firewall may keep the copies out.",
            "Calls of the copies may fail there. What a gap blocks there is tried again at once.",
        ],
    )


def repair(shown: FirewallFixView, job: EnvironmentJob, principal: Principal) -> PageAction | None:
    """Return the change that closes a gap for an environment; None: only a person can make it."""
    if shown.repair.opening is None:
        return None
    name, where = shown.gap.name, job.environment_name or job.environment_id
    return _deed(
        "repairs",
        "Make this change",
        "",
        principal,
        path="network/repairs",
        fields=(("resource", name), ("environment", job.environment_id)),
        does=[
            f"The app will {shown.repair.summary}, for the flows of {where}.",
            f"Nothing else of {shown.gap.firewall_name} changes, and it is read back.",
            f"It is noted with your name; cmkflow network repair {name} --undo takes it out again.",
            "Flows that are blocked by the gap go on when they are retried.",
        ],
    )


def _deed(
    what: str,
    title: str,
    identity: str,
    principal: Principal,
    *,
    does: Sequence[str],
    path: str = "",
    fields: tuple[tuple[str, str], ...] = (),
    accepts: tuple[str, str] = ("", ""),
    asks: tuple[str, str] = ("", ""),
    refusal: str = "",
) -> PageAction:
    path = path or f"remediations/{{id}}/{what}"
    route = endpoint_of(ROUTES["POST", path])
    if not principal.may(route.role):
        refusal = f"It needs the role {route.role}."
    return PageAction(
        title=title,
        action=f"/api/{path.replace('{id}', identity)}",
        fields=fields,
        does=tuple(does),
        accepts=accepts,
        asks=asks,
        refusal=refusal,
        is_danger=what in {"cancel", "roll-back"},
        asks_name=principal.kind is PrincipalKind.KEY and "by" in route.body.model_fields,
    )


def _undo(
    what: str,
    title: str,
    identity: str,
    principal: Principal,
    does: Sequence[str],
    jobs: Sequence[FlowJob],
    now: datetime,
    *,
    fields: tuple[tuple[str, str], ...] = (),
) -> PageAction:
    replays = find_replays(jobs)
    accepts = ("replay", describe_replays(replays, now)) if replays else ("", "")
    return _deed(what, title, identity, principal, does=does, fields=fields, accepts=accepts)


def _can_go_back(job: FlowJob) -> bool:
    """Say whether it is neither back nor on its way."""
    return not (job.is_undone or job.is_rolling_back or job.requested)


def _goes_on(jobs: Sequence[FlowJob]) -> str:
    where = Counter(_at(job) for job in jobs)
    at = ", ".join(f"{number} at {state}" for state, number in where.items())
    edited = [job for job in jobs if job.code in {Reason.CHANGED, Reason.COPY_EDITED}]
    accepted = f" The edits of {_titles(edited)} are accepted as they are now." if edited else ""
    return f"{_titles(jobs)} go on where they stopped ({at}).{accepted}"


def _undoes(jobs: Sequence[FlowJob]) -> list[str]:
    """Say what the way back does with these flows."""
    begun = [job for job in jobs if job.facts.is_undoable]
    fresh = len(jobs) - len(begun)
    off = [job for job in begun if not job.has_original_back and job.original_was_on]
    copies = [job for job in begun if job.pattern.has_copy]
    said = []
    if fresh:
        said.append(f"{_flows(fresh)} that nothing was begun with: cancelled.")
    if off:
        said.append(f"Originals that are turned on again: {_titles(off)}.")
    if copies:
        said.append(
            f"Callers that were changed point at their originals again, then the copies of "
            f"{_titles(copies)} are turned off and left there."
        )
    if edited := [job for job in begun if not job.pattern.has_copy]:
        said.append(f"Put back as they were, where that can be: {_titles(edited)}.")
    if begun:
        said.append("Deletes that are ordered of these originals are cancelled.")
    return said


def _at(job: FlowJob | EnvironmentJob) -> str:
    return str(job.reached).replace("_", " ")


def _flows(number: int) -> str:
    return "1 flow" if number == 1 else f"{number} flows"


def _titles(jobs: Sequence[FlowJob]) -> str:
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    return ", ".join(sorted(job.display_name for job in jobs)[:_NAMED]) + more
