"""Build the actions that a page offers, each as a form with its consequences.

A form posts to the API route of the action, so the API's roles, checks and audit log apply. No
script is needed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.endpoints import load_endpoint
from functions.principals import find_requester_member
from functions.routes import ROUTES
from shared.domain.jobs.backlog_replay import describe_replays, find_replays
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import format_count
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.principal import Principal, PrincipalKind
from shared.reason import Reason
from shared.use_cases.change_remediation import list_dependent_jobs
from shared.use_cases.manage_firewall_fixes import FirewallFixView
from shared.use_cases.show_remediation import RemediationView

#: Maximum number of flow names in a text; the remaining flows are counted.
_NAMED = 8
#: Path of the route that retries jobs of a remediation.
RETRY = "remediations/{id}/retry"
#: The consequence of a retry whose cause is not fixed.
BLOCKED_AGAIN = "A flow whose reason is not fixed is blocked again."


@dataclass(frozen=True, slots=True, kw_only=True)
class FormInput:
    """A field of an action's form: a text, a number, a file or a checkbox."""

    name: str
    label: str
    value: str = ""
    #: `text`, `number`, `checkbox` or `file`.
    kind: str = "text"
    #: A regular expression for the whole text, and an example; empty for none.
    pattern: tuple[str, str] = ("", "")
    #: Smallest and largest number.
    limits: tuple[int, int] = (0, 0)
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAction:
    """An action that a page offers as a form, or the reason why the reader may not use it."""

    title: str
    #: URL of the API route, and the form fields; a field name that ends in `[]` is a list.
    action: str
    fields: tuple[tuple[str, str], ...] = ()
    #: The consequences, one sentence each.
    does: tuple[str, ...]
    #: Field name and text of a confirmation that the reader must tick; empty for none.
    accepts: tuple[str, str] = ("", "")
    #: Field name and label of a text that the reader must enter; empty for none.
    asks: tuple[str, str] = ("", "")
    inputs: tuple[FormInput, ...] = ()
    #: Why the reader may not use this action; empty if they may.
    unavailable_reason: str = ""
    is_danger: bool = False
    #: Field for the reader's name, if the request has only a function key; empty for none.
    name_field: str = ""


def list_remediation_actions(
    shown: RemediationView, principal: Principal, now: datetime, *, is_whole: bool = True
) -> list[PageAction]:
    """Return the actions for a remediation: retry, cancel and roll back.

    If `is_whole` is False, not all jobs were read. Cancel and roll back are then left out, because
    their consequences are not known.
    """
    jobs, environments = shown.flow_jobs, shown.environment_jobs
    identity, found = shown.remediation.id, []
    blocked = [job for job in jobs if job.needs_action]
    whole = [job for job in environments if job.needs_action]
    if blocked or whole:
        does = [describe_retry(blocked)] if blocked else []
        if looks := sum(job.is_interrupted for job in jobs) - len(blocked):
            does.append(describe_early_check(looks))
        does += [
            f"{job.environment_name} continues at the step {_describe_step(job)}." for job in whole
        ]
        title = f"Retry {format_count(len(blocked), 'blocked flow')}" if blocked else "Retry"
        found.append(
            build_page_action(
                RETRY, title, principal, identity=identity, does=[*does, BLOCKED_AGAIN]
            )
        )
    if not is_whole:
        return found
    begins = any(job.can_start_more_flows for job in environments)
    no_more = ("No further flows start, including those that await approval.",) if begins else ()
    all_started = [job for job in jobs if _can_roll_back(job)]
    rest, open_ones = all_started, [job for job in jobs if not job.has_succeeded]
    if len(open_ones) < len(jobs):
        rest = [job for job in list_dependent_jobs(open_ones, jobs) if _can_roll_back(job)]
    rollback_effects = _describe_rollback(all_started)
    for what, title, to_roll_back, effects in (
        (
            "cancel",
            "Cancel remaining flows",
            rest,
            rollback_effects if rest is all_started else _describe_rollback(rest),
        ),
        ("rollback", "Roll back all flows", all_started, rollback_effects),
    ):
        if to_roll_back or (begins and what == "cancel"):
            does = [*no_more, *effects]
            found.append(
                _build_rollback_action(what, title, identity, principal, does, to_roll_back, now)
            )
    return found


def list_flow_actions(
    job: FlowJob | None, dependent_jobs: Sequence[FlowJob], principal: Principal, now: datetime
) -> list[PageAction]:
    """Return the actions for one flow: retry and roll back. `dependent_jobs` contains the jobs of
    the flow and its dependent flows, which roll back together.
    """
    if job is None:
        return []
    found, this = [], (("flow_ids[]", job.original.id),)
    if job.is_interrupted:
        does = [describe_retry([job])]
        title = "Retry" if job.needs_action else "Check now"
        retry = build_page_action(
            RETRY, title, principal, identity=job.remediation_id, does=does, fields=this
        )
        found.append(retry)
    if _can_roll_back(job):
        to_roll_back = [one for one in dependent_jobs if _can_roll_back(one)]
        count, does = len(to_roll_back), _describe_rollback(to_roll_back)
        title = "Roll back" if count < 2 else f"Roll back {count} dependent flows"
        found.append(
            _build_rollback_action(
                "rollback", title, job.remediation_id, principal, does, to_roll_back, now,
                fields=this,
            )
        )  # fmt: skip
    return found


def build_approval_action(
    remediation_id: str, version: str, principal: Principal, unavailable_reason: str
) -> PageAction:
    """Return the action that approves a plan version.

    `unavailable_reason` says why the reader cannot approve it. The page adds the flows that the
    approval includes to the form.
    """
    return build_page_action(
        "remediations/{id}/approve",
        "Approve",
        principal,
        identity=remediation_id,
        fields=(("versions[]", version),),
        does=["A flow that changes after the approval needs another approval."],
        unavailable_reason=unavailable_reason,
    )


def build_ignore_issue_action(
    job: EnvironmentJob, issue: FirewallIssueSummary, principal: Principal
) -> PageAction:
    where = job.environment_name or job.environment_id
    return build_page_action(
        "environments/{id}/ignored-issues",
        "Ignore this firewall",
        principal,
        identity=job.environment_id,
        fields=(("issue", issue.name),),
        asks=("justification", "Justification (recorded with your name)"),
        does=[
            (
                f"{format_count(issue.flow_count, 'flow')} in {where} "
                + (
                    "continues. This firewall may deny its calls."
                    if issue.flow_count == 1
                    else "continue. This firewall may deny their calls."
                )
            ),
            f"Flows in {where} that firewall issues block are retried now.",
        ],
    )


def build_firewall_fix_action(
    shown: FirewallFixView, job: EnvironmentJob, principal: Principal
) -> PageAction | None:
    """Return the action that applies a firewall fix, or None if the app cannot apply it."""
    if not shown.fix.is_applicable:
        return None
    name, where = shown.issue.name, job.environment_name or job.environment_id
    return build_page_action(
        "network/firewall-fixes",
        "Apply fix",
        principal,
        fields=(("resource", name), ("environment", job.environment_id)),
        does=[
            f"The app will {shown.fix.summary}, for the flows of {where}.",
            f"Nothing else changes in {shown.issue.firewall_name}. The app reads the change back.",
            f"The change is recorded with your name. Revert: cmkflow network fix {name} --revert",
            "Retry the blocked flows afterwards.",
        ],
    )


def build_page_action(
    path: str,
    title: str,
    principal: Principal,
    *,
    does: Sequence[str],
    identity: str = "",
    fields: tuple[tuple[str, str], ...] = (),
    accepts: tuple[str, str] = ("", ""),
    asks: tuple[str, str] = ("", ""),
    inputs: tuple[FormInput, ...] = (),
    unavailable_reason: str = "",
) -> PageAction:
    """Return the action that posts a form to the route with this path.

    `identity` is the `{id}` of the path. A reader without the role for the route gets the reason
    instead of a button.
    """
    route = load_endpoint(ROUTES["POST", path])
    if route.role and not principal.has_role(route.role):
        unavailable_reason = f"You need the role {route.role}. Ask an administrator to assign it."
    return PageAction(
        title=title,
        action=f"/api/{path.replace('{id}', identity)}",
        fields=fields,
        does=tuple(does),
        accepts=accepts,
        asks=asks,
        inputs=inputs,
        unavailable_reason=unavailable_reason,
        is_danger=path.endswith("/rollback"),
        name_field=find_requester_member(route.body)
        if principal.kind is PrincipalKind.FUNCTION_KEY
        else "",
    )


def _build_rollback_action(
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
    accepts = ("accept_replay", describe_replays(replays, now)) if replays else ("", "")
    return build_page_action(
        f"remediations/{{id}}/{what}",
        title,
        principal,
        identity=identity,
        does=does,
        fields=fields,
        accepts=accepts,
    )


def _can_roll_back(job: FlowJob) -> bool:
    return not (job.is_withdrawn or job.is_rolling_back or job.requested_command)


def describe_retry(jobs: Sequence[FlowJob]) -> str:
    steps = Counter(_describe_step(job) for job in jobs)
    at = ", ".join(f"{number:,} at {state}" for state, number in steps.items())
    if len(steps) == 1:
        [at] = steps
    edited = [
        job
        for job in jobs
        if job.reason_code in {Reason.ORIGINAL_EDITED, Reason.ORIGINAL_AND_COPY_EDITED}
    ]
    accepted = f" The current edits of {_format_titles(edited)} are accepted." if edited else ""
    who = "it" if len(jobs) == 1 else "they"
    return f"{_format_titles(jobs)}: retried from the step where {who} stopped ({at}).{accepted}"


def describe_early_check(number: int) -> str:
    wait = "1 flow that waits is" if number == 1 else f"{number:,} flows that wait are"
    return f"{wait} checked again now."


def _describe_rollback(jobs: Sequence[FlowJob]) -> list[str]:
    started = [job for job in jobs if job.state_properties.can_roll_back]
    fresh = len(jobs) - len(started)
    off = [job for job in started if not job.has_original_restored and job.original.was_on]
    copies = [job for job in started if job.migration_method.has_copy]
    said = []
    if fresh:
        said.append(f"{format_count(fresh, 'flow')} not started: cancelled.")
    if off:
        said.append(f"Originals turned on again: {_format_titles(off)}.")
    if copies:
        said.append(
            "Callers reverted to their originals, then copies turned off: "
            f"{_format_titles(copies)}."
        )
    if edited := [job for job in started if not job.migration_method.has_copy]:
        said.append(f"Changes reverted where possible: {_format_titles(edited)}.")
    if any(job.state is FlowJobState.RETIRED for job in started):
        said.append("Scheduled deletions of these originals are cancelled.")
    return said


def _describe_step(job: FlowJob | EnvironmentJob) -> str:
    return str(job.step).replace("_", " ")


def _format_titles(jobs: Sequence[FlowJob]) -> str:
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    return ", ".join(sorted(job.display_name for job in jobs)[:_NAMED]) + more
