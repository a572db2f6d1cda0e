"""Find the page of the dashboard for the action in a notification."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.denying_firewalls import list_denying_firewalls
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.support_request import build_support_request_id
from shared.reason import Reason

_DASHBOARD = "/api/dashboard"
_PLANS = frozenset({PendingActionKind.PLAN_AWAITING_APPROVAL, PendingActionKind.PLAN_EXPIRES_SOON})
_SUPPORT_REQUESTS = frozenset(
    {PendingActionKind.SUPPORT_REQUEST, PendingActionKind.SUPPORT_WINDOW_CLOSES}
)
#: The parts of a remediation's flows on its page.
_STATES: Mapping[PendingActionKind, str] = {
    PendingActionKind.FLOWS_BLOCKED: "blocked",
    PendingActionKind.BOTH_OFF: "both_off",
    PendingActionKind.LATE_CALLER: "still_called",
}
#: What the Overview page shows first, or as a whole.
_AT_THE_TOP = frozenset({PendingActionKind.KILL_SWITCH_ON, PendingActionKind.DIGEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLink:
    """A page of the dashboard to which a notification links."""

    #: What the button says: `Open the plan`.
    title: str
    #: Path, query and fragment.
    path: str
    #: URLs of the flows that the message names; empty: those of the app's pages.
    flow_urls: tuple[str, ...] = ()


def build_message_link(
    action: PendingAction,
    environment_jobs: Sequence[EnvironmentJob],
    blocked_jobs: Sequence[FlowJob],
) -> MessageLink:
    """Return a link to the page on which a person does an action."""
    if action.kind in _SUPPORT_REQUESTS:
        request_id = build_support_request_id(action.reason_code, action.environment_id)
        path = f"{_DASHBOARD}/support-requests?{urlencode({'request': request_id})}"
        return MessageLink(title="Open the support request", path=path)
    if not action.remediation_id:
        anchor = "" if action.kind in _AT_THE_TOP else f"#{action.id}"
        return MessageLink(title="Open the Overview page", path=f"{_DASHBOARD}{anchor}")
    page = f"{_DASHBOARD}/remediations/{quote(action.remediation_id, safe='')}"
    environment = {"environment": action.environment_id}
    if action.kind in _PLANS:
        return MessageLink(title="Open the plan", path=f"{page}/plan?{urlencode(environment)}")
    if action.kind is PendingActionKind.NEEDS_CHANGES:
        query = urlencode({**environment, "filter": "needs_changes"})
        return MessageLink(title="Open the plan", path=f"{page}/plan?{query}")
    if action.reason_code == Reason.FIREWALL_DENIES:
        names = _list_denying_issue_names(action, environment_jobs, blocked_jobs)
        if len(names) == 1:
            query = urlencode({"firewall_fix": names.pop(), **environment})
            return MessageLink(title="Open the firewall fix", path=f"{page}?{query}#firewall-fix")
        if names:
            return MessageLink(title="Open the firewalls", path=f"{page}#firewalls")
    if action.count == 1 and len(action.workflow_ids) == 1:
        flow = quote(action.workflow_ids[0], safe="")
        return MessageLink(title="Open the flow", path=f"{page}/flows/{flow}")
    if state := _STATES.get(action.kind):
        query = urlencode({"state": state, "reason_code": action.reason_code})
        return MessageLink(title="Open the flows", path=f"{page}?{query}#flows")
    return MessageLink(title="Open the remediation", path=page)


def list_flow_paths(action: PendingAction) -> tuple[str, ...]:
    """Return the path of the page of each flow that an action names."""
    if not action.remediation_id:
        return ()
    page = f"{_DASHBOARD}/remediations/{quote(action.remediation_id, safe='')}"
    return tuple(f"{page}/flows/{quote(one, safe='')}" for one in action.workflow_ids)


def _list_denying_issue_names(
    action: PendingAction,
    environment_jobs: Sequence[EnvironmentJob],
    blocked_jobs: Sequence[FlowJob],
) -> set[str]:
    place = (action.remediation_id, action.environment_id)
    issues = [
        issue
        for job in environment_jobs
        if (job.remediation_id, job.environment_id) == place
        for issue in job.firewall_issues
    ]
    return {
        issue.name
        for job in blocked_jobs
        if (job.remediation_id, job.environment_id) == place
        for issue in list_denying_firewalls(job, issues)
    }
