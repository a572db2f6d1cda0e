"""Show the declared callers, and which of their flows are not confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.callers.declared_caller import DECLARED_CALLER, CalledFlow, DeclaredCaller
from shared.domain.jobs.called_sides import (
    get_copy_ids,
    get_ids_that_callers_stop_calling,
    get_original_ids,
)
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import UnreadableRow
from shared.services import Services
from shared.use_cases.read_job_index import read_environment_names
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.unconfirmed_callers import waits_for_callers


class CalledFlowState(StrEnum):
    """The state of a declared caller's change for one flow."""

    TO_CONFIRM = "to_confirm"  #: its owner has to change the caller, and to confirm it
    CONFIRMED = "confirmed"
    IN_PROGRESS = "in_progress"  #: its remediation has no new URL yet
    UNCHANGED = "unchanged"  #: no remediation replaces it


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFlowView:
    """A flow that a declared caller calls, with what is known about it."""

    flow: CalledFlow
    state: CalledFlowState
    environment_name: str
    #: The job that replaces it; None: there is none.
    job: FlowJob | None

    @property
    def name(self) -> str:
        """Return the name of the flow, or its id if the name is unknown."""
        names = (self.job.display_name if self.job else "", self.flow.display_name)
        return next(filter(None, names), "") or self.flow.flow_id or self.flow.trigger_url_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCallerView:
    """A declared caller with its flows."""

    caller: DeclaredCaller
    flows: tuple[CalledFlowView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCallers:
    """The declared callers, ordered by name."""

    callers: tuple[DeclaredCallerView, ...]
    #: Names of the known environments, by id.
    environments: Mapping[str, str]
    unreadable_rows: tuple[UnreadableRow, ...]


async def show_callers(services: Services) -> TenantCallers:
    """Return the declared callers, with what is known about each flow that they call."""
    reading = RowReader()
    rows = await reading.list_readable(services.tables.declared_callers.scan(DECLARED_CALLER))
    names = await read_environment_names(services, reading)
    jobs = await _read_jobs(services, rows, reading)
    callers = [
        DeclaredCallerView(
            caller=caller,
            flows=tuple(_build_called_flow_view(flow, jobs, names) for flow in caller.flows),
        )
        for caller in sorted(rows, key=lambda one: one.name.casefold())
    ]
    return TenantCallers(
        callers=tuple(callers), environments=names, unreadable_rows=tuple(reading.unreadable)
    )


async def _read_jobs(
    services: Services, callers: Sequence[DeclaredCaller], reading: RowReader
) -> list[FlowJob]:
    homes = {flow.environment_id for caller in callers for flow in caller.flows}
    partitions = [None] if "" in homes else sorted(homes)
    return [
        job
        for partition in partitions
        for job in await reading.list_readable(services.tables.flow_jobs.scan(partition))
        if job.is_live or job.is_rolling_back
    ]


def _build_called_flow_view(
    flow: CalledFlow, jobs: Sequence[FlowJob], names: Mapping[str, str]
) -> CalledFlowView:
    found = [
        job
        for job in jobs
        if get_original_ids(job).matches(flow) or get_copy_ids(job).matches(flow)
    ]
    # A copy may itself be replaced, so a caller that is to leave a flow comes first.
    left = [job for job in found if get_ids_that_callers_stop_calling(job).matches(flow)]
    job = next(iter(left or found), None)
    state = CalledFlowState.UNCHANGED
    if left:
        # Of a caller that was declared late, the original is already retired.
        is_due = waits_for_callers(left[0]) or left[0].state is FlowJobState.RETIRED
        state = CalledFlowState.TO_CONFIRM if is_due else CalledFlowState.IN_PROGRESS
    elif job:
        state = CalledFlowState.CONFIRMED
    home = job.environment_id if job else flow.environment_id
    return CalledFlowView(flow=flow, state=state, environment_name=names.get(home, home), job=job)
