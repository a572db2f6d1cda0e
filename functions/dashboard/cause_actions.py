"""Build the actions for all flows that one cause blocks: retry them, or migrate them again."""

from collections.abc import Sequence

from functions.dashboard.page_actions import (
    BLOCKED_AGAIN,
    RETRY,
    PageAction,
    build_page_action,
    describe_early_check,
    describe_retry,
)
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.plans.pending_actions import format_count
from shared.domain.principal import Principal
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView

#: Most flows of a form.
_MOST_FLOWS = 100


def build_cause_retry_action(
    shown: RemediationView, code: str, principal: Principal
) -> PageAction | None:
    """Return the action that retries the flows with a reason code, or None if no such flow can be
    retried.
    """
    jobs = [job for job in shown.flow_jobs if job.reason_code == code and job.is_interrupted]
    if not (code and jobs):
        return None
    blocked = [job for job in jobs if job.needs_action]
    does = [describe_retry(blocked)] if blocked else []
    if looks := len(jobs) - len(blocked):
        does.append(describe_early_check(looks))
    title = (
        f"Retry {format_count(len(blocked), 'flow')}"
        if blocked
        else f"Check {format_count(looks, 'flow')} now"
    )
    return build_page_action(
        RETRY,
        title,
        principal,
        identity=shown.remediation.id,
        fields=(("reason_code", code),),
        does=[*does, BLOCKED_AGAIN],
    )


def build_new_start_action(
    shown: RemediationView, flows: Sequence[FlowView], principal: Principal
) -> PageAction | None:
    """Return the action that starts a new remediation for flows, or None if it is not offered.
    Flows with an unknown trigger are left out, because a request that names such a flow permits its
    cutover.
    """
    mode = shown.remediation.mode
    flows = [
        flow for flow in flows if not flow.item or flow.item.category != TriggerCategory.UNKNOWN
    ]
    if not flows or len(flows) > _MOST_FLOWS or not mode.writes:
        return None
    environments = dict.fromkeys(flow.environment_job.environment_id for flow in flows)
    title = f"Start a remediation for {format_count(len(flows), 'flow')}"
    return build_page_action(
        "remediations",
        title,
        principal,
        fields=(
            ("mode", mode),
            *(("environment_ids[]", one) for one in environments),
            *(("flow_ids[]", flow.workflow_id) for flow in flows),
        ),
        does=[
            f"The app plans {format_count(len(flows), 'flow')} again, in a new remediation.",
            "The plan may also change definitions, because the request names the flows.",
            "The approval policy of the environment decides whether the plan awaits approval.",
        ],
    )
