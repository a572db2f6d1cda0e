from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.dashboard.page_layout import PageContext
from functions.dashboard.remediation_page import RemediationPageChoice, build_remediation_page
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.remediation import (
    EnvironmentJob,
    FirewallIssueSummary,
    Remediation,
    RemediationMode,
    StartSource,
)
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView, build_remediation_view

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def build_environment_job(identity: str = "env-1", **more: Any) -> EnvironmentJob:
    facts: dict[str, Any] = {
        "environment_id": identity,
        "environment_name": identity.title(),
        "id": f"job-{identity}",
        "remediation_id": "rem",
        "mode": RemediationMode.APPLY,
        "state": EnvironmentJobState.COMPLETED,
        "has_started_flow_jobs": True,
        "planned_at": NOW - timedelta(days=3),
    }
    return EnvironmentJob(**{**facts, **more})


def build_flow(
    title: str, state: FlowJobState, *, where: EnvironmentJob | None = None, **more: Any
) -> FlowView:
    """Return a flow with a job in this state. `stopped_at` is the step of a blocked or waiting
    job.
    """
    where = where or build_environment_job()
    identity = f"id-{title}-{where.environment_id}"
    original: dict[str, Any] = {
        "id": identity,
        "flow_name": title,
        "category": "http",
        "trigger_name": "manual",
        "has_trigger_url": True,
        "in_solution": True,
        "digest": "",
        **more.pop("original", {}),
    }
    facts: dict[str, Any] = {
        "environment_id": where.environment_id,
        "environment_job_id": where.id,
        "remediation_id": "rem",
        "id": identity,
        "original": Original(**original),
        "copy": Copy(id=f"copy-{title}"),
        "policy_id": "policy",
        "display_name": title,
        "migration_method": MigrationMethod.UPDATE_CALLERS,
        "state": state,
        "resume_state": more.pop("stopped_at", None),
        "history": (
            HistoryEntry(
                changed_at=NOW - timedelta(days=1), state=state, message=more.get("message", "")
            ),
        ),
    }
    return FlowView(
        environment_job=where,
        item=build_item(title, where=where, approval_number=1, **more.pop("plan", {})),
        job=FlowJob(**{**facts, **more}),
    )


def build_item(title: str, *, where: EnvironmentJob | None = None, **more: Any) -> PlanItem:
    where = where or build_environment_job()
    facts: dict[str, Any] = {
        "environment_job_id": where.id,
        "workflow_id": f"id-{title}-{where.environment_id}",
        "flow_name": title,
        "display_name": title,
        "category": "http",
        "trigger_name": "manual",
        "has_trigger_url": True,
        "in_solution": True,
        "migration_method": MigrationMethod.UPDATE_CALLERS,
        "is_on": True,
        "microsoft_key_reasons": (),
        "action": PlannedAction.COPY,
        "message": "",
    }
    return PlanItem(**{**facts, **more})


def build_planned_flow(title: str, *, where: EnvironmentJob | None = None, **more: Any) -> FlowView:
    """Return a flow without a job."""
    where = where or build_environment_job()
    return FlowView(environment_job=where, item=build_item(title, where=where, **more), job=None)


def build_needs_changes_flow(title: str, **more: Any) -> FlowView:
    return build_planned_flow(
        title, action=PlannedAction.NEEDS_CHANGES, message="It is in a loop.", fix="Break it.",
        **more,
    )  # fmt: skip


def build_blocked_flow(title: str, code: str = "owner_unavailable", **more: Any) -> FlowView:
    """By default, the flow stopped before its copy was verified."""
    facts: dict[str, Any] = {
        "stopped_at": FlowJobState.COPIED,
        "reason_code": code,
        "message": "Its owner has left.",
        "fix": "Name another owner.",
    }
    return build_flow(title, FlowJobState.BLOCKED, **{**facts, **more})


def build_denied_flow(title: str, *firewalls: str, **more: Any) -> FlowView:
    """Return a flow that is blocked because firewalls deny its calls."""
    names = ", ".join(firewalls)
    message = f"These firewalls deny the copy of {title}: {names}."
    return build_blocked_flow(
        title, "firewall_denies", message=message, fix=f"Open {names}.", **more
    )


def build_issue(name: str, prefixes: int, **more: Any) -> FirewallIssueSummary:
    """`prefixes` is the number of address ranges that the firewall does not allow."""
    facts: dict[str, Any] = {
        "name": f"nsg:{name}",
        "kind": "network_security_group",
        "firewall_name": name,
        "missing_prefixes": tuple(f"20.{number}.0.0/16" for number in range(prefixes)),
        "fix": f"Open {name}.",
        "workflow_ids": (),
    }
    return FirewallIssueSummary(**{**facts, **more})


def build_remediation(
    flows: Sequence[FlowView], mode: RemediationMode = RemediationMode.APPLY
) -> RemediationView:
    environments = {one.environment_job.id: one.environment_job for one in flows}
    remediation = Remediation(
        mode=mode,
        start_source=StartSource.API_REQUEST,
        idempotency_key="1",
        created_at=NOW - timedelta(days=4),
        environment_ids=tuple(job.environment_id for job in environments.values()),
    )
    jobs = [one.job for one in flows if one.job]
    return build_remediation_view(remediation, list(environments.values()), jobs)


def build_page(
    every: Sequence[FlowView],
    *,
    mode: RemediationMode = RemediationMode.APPLY,
    roles: frozenset[Role] = frozenset(Role),
    **choice: Any,
) -> str:
    principal = Principal(name="a", roles=roles, kind=PrincipalKind.USER)
    view = PageContext(principal=principal, now=NOW)
    return build_remediation_page(
        view, build_remediation(every, mode), every, RemediationPageChoice(**choice)
    )
