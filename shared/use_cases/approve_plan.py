"""Approve plans by their versions, so that only what an approver has read is approved."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from shared.alerts import read_readable
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.durable_job import bump_fencing_token
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.choose_url_secret import apply_url_secret_choices
from shared.domain.plans.plan_approval import (
    build_approved_plan_name,
    compute_plan_version,
    format_plan_text,
    parse_awaiting_flows,
)
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.plan_selection import PlanSelection
from shared.domain.plans.remediation import ApprovedPlan, EnvironmentJob
from shared.errors import Conflict, JobBlocked
from shared.jobs.job_kinds import ENVIRONMENT
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.name_flows import select_flows
from shared.use_cases.read_remediation_rows import get_remediation, reject_self_approval


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalInput:
    #: Plan versions; each identifies the plan of one environment.
    versions: tuple[str, ...]
    approved_by: str
    #: Object id in Entra; empty if unknown.
    approved_by_id: str = ""
    #: Workflow ids or flow names to exclude, with all flows that run them.
    excluded_flow_ids: tuple[str, ...] = ()
    #: Workflow ids that the approver chose; the flows not chosen are excluded likewise. None: all.
    included_flow_ids: tuple[str, ...] | None = None
    #: Workflow ids among which the approver chose; other flows are included. None: among all.
    offered_flow_ids: tuple[str, ...] | None = None

    def list_excluded_among(self, awaiting: Collection[str]) -> tuple[str, ...]:
        """Return those of the awaiting workflow ids that this approval excludes, sorted."""
        excluded = {flow.lower() for flow in self.excluded_flow_ids}
        if self.included_flow_ids is not None:
            offered = awaiting if self.offered_flow_ids is None else self.offered_flow_ids
            not_chosen = {*offered} - {*self.included_flow_ids}
            excluded |= not_chosen.intersection(awaiting)
        return tuple(sorted(excluded))


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingPlan:
    """A plan that awaits approval, as read from its rows."""

    kept: StoredItem[EnvironmentJob]
    items: list[PlanItem]

    @property
    def job(self) -> EnvironmentJob:
        """Return the environment job of the plan."""
        return self.kept.item

    @property
    def text(self) -> str:
        """Return what the approver reads, as JSON."""
        return format_plan_text(self.job, self.items)

    @property
    def version(self) -> str:
        """Return the plan version."""
        return compute_plan_version(self.text)

    @property
    def title(self) -> str:
        """Return the name of the environment, or its id."""
        return self.job.environment_name or self.job.environment_id

    @property
    def awaiting_items(self) -> list[PlanItem]:
        """Return the items that the approval decides on."""
        return [item for item in self.items if item.awaits_approval]

    @property
    def awaiting_workflow_ids(self) -> frozenset[str]:
        """Return the workflow ids of the items that the approval decides on."""
        return frozenset(item.workflow_id for item in self.awaiting_items)


async def approve_plans(
    services: Services, remediation_id: str, approval: ApprovalInput
) -> list[EnvironmentJob]:
    """Approve the plans with these versions, and return their environment jobs.

    If one plan cannot be approved, none is. A repeated approval by the same person succeeds,
    because the first response may have been lost. Raises `JobBlocked` (code `nothing_to_approve`,
    `plan_changed`, `environment_read_only`, `approval_expired` or `self_approval_not_allowed`), and
    `NotFound` for an unknown remediation or a flow that does not await approval.
    """
    reject_self_approval(
        services, await get_remediation(services, remediation_id), approval.approved_by_id
    )
    approval = await _with_excluded_workflow_ids(services, remediation_id, approval)
    while True:
        approved_jobs = await _read_already_approved_jobs(services, remediation_id, approval)
        left = [version for version in approval.versions if version not in approved_jobs]
        if approved_jobs and not left:
            return list(approved_jobs.values())
        waiting = await read_plans_awaiting_approval(services, remediation_id)
        plans = _select_plans_by_version(waiting, left)
        for plan in plans:
            await _require_approvable_plan(services, plan.job)
        _require_valid_flow_selection(plans, approval)
        try:
            for plan in plans:
                approved_jobs[plan.version] = await _approve_one_plan(services, plan, approval)
        except Conflict:  # another invocation or person changed the row: read it again
            continue
        return list(approved_jobs.values())


async def read_plans_awaiting_approval(
    services: Services, remediation_id: str
) -> list[AwaitingPlan]:
    """Return a remediation's plans that await approval. Raises `JobBlocked` if there is none."""
    plans = []
    rows = services.tables.environment_jobs.scan(remediation_id)
    async for kept in read_readable(services, rows):
        if kept.item.awaits_approval:
            planned = await services.tables.plan_items.read_all(kept.item.id)
            items = apply_url_secret_choices(kept.item, planned)
            plans.append(AwaitingPlan(kept=kept, items=items))
    if not plans:
        raise JobBlocked(
            "No plan of this remediation awaits approval.",
            fix="Check its state. The plan may not be ready, or already approved or expired.",
            code=Reason.NOTHING_TO_APPROVE,
        )
    return plans


def _select_plans_by_version(
    waiting: Sequence[AwaitingPlan], versions: Sequence[str]
) -> list[AwaitingPlan]:
    by_version = {plan.version: plan for plan in waiting}
    stale = [version for version in versions if version not in by_version]
    if stale:
        raise JobBlocked(
            f"No plan that awaits approval has version {', '.join(stale)}. "
            + " ".join(_describe_version(version, plan) for version, plan in by_version.items()),
            code=Reason.PLAN_CHANGED,
        )
    return [by_version[version] for version in dict.fromkeys(versions)]


def _describe_version(version: str, plan: AwaitingPlan) -> str:
    changed = [
        f"{item.display_name}: {', '.join(item.changed_since_approval)}"
        for item in plan.items
        if item.changed_since_approval
    ]
    since = f", changed since the approval ({'; '.join(changed)})" if changed else ""
    return f"{plan.title} has version {version} now{since}."


async def _require_approvable_plan(services: Services, job: EnvironmentJob) -> None:
    settings = await read_environment_settings(services, job.environment_id)
    if settings.approval_policy is ApprovalPolicy.READ_ONLY:
        raise JobBlocked(
            f"Environment {job.environment_id} has approval policy read_only.",
            fix="Set its approval policy to required or automatic, then approve the plan again.",
            code=Reason.ENVIRONMENT_READ_ONLY,
        )
    if job.approval_expires_at and job.approval_expires_at <= services.now:
        raise JobBlocked(
            f"The plan of environment {job.environment_id} has expired.",
            code=Reason.APPROVAL_EXPIRED,
        )


async def _with_excluded_workflow_ids(
    services: Services, remediation_id: str, approval: ApprovalInput
) -> ApprovalInput:
    if not approval.excluded_flow_ids:
        return approval
    items = [
        item
        for job in await services.tables.environment_jobs.read_all(remediation_id)
        for item in await services.tables.plan_items.read_all(job.id)
    ]
    left_out = select_flows(items, approval.excluded_flow_ids, "this remediation's plans")
    ids = dict.fromkeys(item.workflow_id for item in left_out)
    return replace(approval, excluded_flow_ids=tuple(ids))


def _require_valid_flow_selection(plans: Sequence[AwaitingPlan], approval: ApprovalInput) -> None:
    open_items = [item for plan in plans for item in plan.awaiting_items]
    known = frozenset(item.workflow_id for item in open_items)
    unknown = [flow for flow in approval.included_flow_ids or () if flow not in known]
    flows = (*approval.excluded_flow_ids, *unknown)
    select_flows(open_items, flows, "flows that await approval")
    for plan in plans:
        left_out = approval.list_excluded_among(plan.awaiting_workflow_ids)
        selection = PlanSelection(awaiting=plan.awaiting_items, left_out=left_out)
        if approval.included_flow_ids is not None and not selection.included_items:
            raise JobBlocked(
                f"The approval includes no flow of {plan.title}.",
                fix="Include a flow with all flows that it runs.",
                code=Reason.NOTHING_TO_APPROVE,
            )


async def _approve_one_plan(
    services: Services, plan: AwaitingPlan, approval: ApprovalInput
) -> EnvironmentJob:
    """Archive the plan, then store the approval in the environment job's row.

    Raises `Conflict` if the row has changed since it was read.
    """
    left_out, content = approval.list_excluded_among(plan.awaiting_workflow_ids), plan.text
    version = compute_plan_version(content)
    where = await services.archive.put(
        build_approved_plan_name(plan.job.id, version), content.encode()
    )
    approved = ApprovedPlan(
        version=version,
        approved_by=approval.approved_by,
        approved_at=services.now,
        excluded_from_approval=left_out,
        archive_name=where,
    )
    text = f"Approved by {approval.approved_by}: version {version}"
    text += f", excluding {len(left_out)} flows." if left_out else "."
    job = replace(
        move_to_state(plan.job, EnvironmentJobState.APPROVED, text, now=services.now),
        approved_by=approval.approved_by,
        approved_version=version,
        approved_plans=(*plan.job.approved_plans, approved),
        approval_count=plan.job.approval_count + 1,
        excluded_from_approval=left_out,
        awaiting_approval_count=0,
        message_number=plan.job.message_number + 1,
    )
    job = bump_fencing_token(job, settles_after=services.settings.in_flight_timeout)
    await ENVIRONMENT.schedule_wake_up(services, job)
    await services.tables.environment_jobs.replace(plan.kept, job)
    await ENVIRONMENT.send_messages(services, job)
    return job


async def _read_already_approved_jobs(
    services: Services, remediation_id: str, approval: ApprovalInput
) -> dict[str, EnvironmentJob]:
    rows = read_readable(services, services.tables.environment_jobs.scan(remediation_id))
    return {
        job.approved_version: job
        for job in [kept.item async for kept in rows]
        if job.approved_version in approval.versions
        and job.approved_by == approval.approved_by
        and job.state is not EnvironmentJobState.CANCELLED
        and not job.awaits_approval
        and job.excluded_from_approval
        == approval.list_excluded_among(await _read_approved_workflow_ids(services, job, approval))
    }


async def _read_approved_workflow_ids(
    services: Services, job: EnvironmentJob, approval: ApprovalInput
) -> frozenset[str]:
    if approval.included_flow_ids is None:
        return frozenset()
    content = await services.archive.get(build_approved_plan_name(job.id, job.approved_version))
    return parse_awaiting_flows(content.decode())
