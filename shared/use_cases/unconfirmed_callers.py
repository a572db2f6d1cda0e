"""Find the declared callers whose change nobody has confirmed yet, to notify their owners."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.alerts import read_readable
from shared.domain.callers.declared_caller import (
    DECLARED_CALLER,
    CalledFlow,
    DeclaredCaller,
    describe_place_of_new_url,
)
from shared.domain.jobs.called_sides import get_ids_that_callers_stop_calling
from shared.domain.jobs.flow_job import FlowJob, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import (
    NAMED,
    PendingAction,
    PendingActionKind,
    find_pending_since,
)
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.read_job_index import read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class UnconfirmedCaller:
    """A declared caller, and the flows of one environment that wait for its confirmation."""

    caller: DeclaredCaller
    jobs: tuple[FlowJob, ...]
    action: PendingAction


async def find_unconfirmed_callers(
    services: Services, names: Mapping[str, str]
) -> list[UnconfirmedCaller]:
    """Return the declared callers that open jobs wait for, by environment and remediation.

    `names` contains the environments' names by id.
    """
    rows = read_readable(services, services.tables.declared_callers.scan(DECLARED_CALLER))
    callers = sorted([row.item async for row in rows], key=lambda one: one.name.casefold())
    if not callers:
        return []
    known = await read_known_jobs(services, RowReader())
    jobs = [one for one in known.flow_jobs if waits_for_callers(one)]
    found = []
    for caller in callers:
        groups: dict[tuple[str, str], dict[str, tuple[FlowJob, CalledFlow]]] = defaultdict(dict)
        for job in jobs:
            for flow in caller.flows:
                if get_ids_that_callers_stop_calling(job).matches(flow):
                    groups[job.environment_id, job.remediation_id][job.id] = (job, flow)
        for (environment_id, _), group in groups.items():
            pairs = sorted(group.values(), key=lambda pair: pair[0].display_name)
            name = names.get(environment_id, "")
            found.append(
                UnconfirmedCaller(
                    caller=caller,
                    jobs=tuple(job for job, _ in pairs),
                    action=_build_confirmation_action(services, caller, pairs, name),
                )
            )
    return found


def replace_blocked_actions(
    pending: Sequence[PendingAction],
    blocked: Sequence[FlowJob],
    unconfirmed: Sequence[UnconfirmedCaller],
) -> list[PendingAction]:
    """Return the pending actions, plus one for each unconfirmed caller.

    Omits an action about flows that manual callers block if all these flows wait only for such
    confirmations.
    """
    waiting = {job.id for one in unconfirmed for job in one.jobs}
    others = {
        (job.environment_id, job.remediation_id, job.reason_code)
        for job in blocked
        if job.id not in waiting
    }
    return [
        *(
            one
            for one in pending
            if (one.kind, one.reason_code)
            != (PendingActionKind.FLOWS_BLOCKED, Reason.MANUAL_CALLER)
            or (one.environment_id, one.remediation_id, one.reason_code) in others
        ),
        *(one.action for one in unconfirmed),
    ]


def waits_for_callers(job: FlowJob) -> bool:
    """Return whether the job now waits until callers stop calling a flow.

    The flow is the original, or in a rollback the copy.
    """
    if job.is_rolling_back:
        return job.rollback_stage in {
            RollbackStage.CHECK_COPY_FOR_CALLS,
            RollbackStage.TURN_OFF_COPY,
        }
    return job.step is FlowJobState.CHECKING_FOR_CALLS


def find_earliest_turn_off_at(services: Services, job: FlowJob) -> datetime | None:
    """Return when the flow that callers must stop calling may be turned off at the earliest.

    Returns None if that is not known yet.
    """
    observation = job.observation
    if observation.started_at is None:
        return None
    return observation.started_at + observation.extend_period(services.settings.no_call_period)


def _build_confirmation_action(
    services: Services,
    caller: DeclaredCaller,
    pairs: Sequence[tuple[FlowJob, CalledFlow]],
    environment_name: str,
) -> PendingAction:
    jobs = [job for job, _ in pairs]
    first, _ = pairs[0]
    wanted, left = ("original", "copy") if first.is_rolling_back else ("copy", "original")
    until = max(
        filter(None, (find_earliest_turn_off_at(services, job) for job in jobs)), default=None
    )
    least = f", at least until {until:%Y-%m-%d}" if until and until > services.now else ""
    places = (
        [] if first.is_rolling_back else [*{describe_place_of_new_url(one): 0 for _, one in pairs}]
    )
    where = f" {places[0]}" if len(places) == 1 else ""
    how = "it by the link" if services.settings.own_address else "it: cmkflow caller confirm"
    command = ["cmkflow", "caller", "confirm", caller.name, "--flow", first.display_name]
    return PendingAction(
        kind=PendingActionKind.CALLER_UNCONFIRMED,
        reason_code=Reason.MANUAL_CALLER,
        caller=caller.name,
        count=len(jobs),
        environment_id=first.environment_id,
        environment_name=environment_name,
        remediation_id=first.remediation_id,
        flows=tuple(job.display_name for job in jobs[:NAMED]),
        workflow_ids=tuple(job.original.id for job in jobs[:NAMED]),
        message=f"The {left} stays on until {caller.owner} has confirmed that {caller.name} calls "
        f"the {wanted}{least}.",
        fix=f"Ask {caller.owner} ({caller.contact}) to make {caller.name} call the {wanted} and to "
        f"confirm {how}.{where}",
        pending_since=min(filter(None, map(find_pending_since, jobs)), default=None),
        next_command=shlex.join(command) if len(jobs) == 1 else "cmkflow caller list",
    )
