"""Link a blocked flow to the page or section of the dashboard where a person fixes it."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from shared.reason import Reason
from shared.use_cases.show_flow import FlowView


class FixLink(NamedTuple):
    """A link that is shown beside the fix of a blocked flow."""

    url: str
    words: str


_SETTINGS = FixLink("/api/dashboard/environments#settings", "Open environment settings")
_CALLERS = FixLink("#callers", "Show callers")
_DEPENDENT = FixLink("#callers", "Show dependent flows")
_COMPARISON = FixLink("?compare=true#difference", "Compare definitions")
_LINKS: Mapping[str, FixLink] = {
    Reason.ENVIRONMENT_READ_ONLY: _SETTINGS,
    Reason.OUTSIDE_MAINTENANCE_WINDOW: _SETTINGS,
    Reason.WAITING_FOR_PILOT_FLOWS: _SETTINGS,
    Reason.KILL_SWITCH_ON: FixLink("/api/dashboard", "Open the overview"),
    Reason.MANUAL_CALLER: _CALLERS,
    Reason.LATE_CALLER: _CALLERS,
    Reason.CALLER_WRITE_LOST: _CALLERS,
    Reason.CHILD_FLOW_NOT_READY: _DEPENDENT,
    Reason.PARENT_FLOW_NOT_READY: _DEPENDENT,
    Reason.ORIGINAL_EDITED: _COMPARISON,
    Reason.ORIGINAL_AND_COPY_EDITED: _COMPARISON,
    Reason.COPY_CHANGED: _COMPARISON,
    Reason.COPY_DIFFERS: _COMPARISON,
}


def find_fix_link(flow: FlowView, remediation_url: str) -> FixLink | None:
    """Return a link to where a person fixes what blocks a flow, or None if there is none."""
    job = flow.job
    if job is None:
        return None
    if job.reason_code == Reason.OWNER_UNAVAILABLE and flow.owner:
        url = f"{remediation_url}?owner={quote(flow.owner.id)}#flows"
        return FixLink(url, "Show all flows of this owner")
    return _LINKS.get(job.reason_code)
