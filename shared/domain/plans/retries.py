"""Explain why a retry can continue nothing."""

from collections import Counter
from collections.abc import Sequence

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.changes_needed import format_needed_changes
from shared.domain.plans.display_text import ACTION_WORDS, describe_why_not_migrated
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem


def explain_empty_retry(
    remediation_id: str, found: Sequence[FlowJob | PlanItem], code: str = ""
) -> tuple[str, str]:
    """Return why a retry continues no flow, and what to do. `found` are the flows that it names."""
    states = Counter(map(_find_state_or_reason, found))
    with_code = f" with the code {code}" if code else ""
    counts = ", ".join(
        f"{number} {describe_why_not_migrated(state, number)[0]}"
        for state, number in states.items()
    )
    reason = f"No flow is blocked, failed or waiting{with_code}" + (
        f": {counts}." if counts else "."
    )
    show = f"cmkflow remediation show {remediation_id}"
    items = [one for one in found if isinstance(one, PlanItem) and one.needs_changes]
    if items:
        changes = format_needed_changes(items, f"cmkflow plan show {remediation_id}")
        then = "" if "start a new remediation" in changes else " Then start a new remediation."
        return reason, f"{changes}{then}"
    return reason, f"See the state of each flow: {show}"


def _find_state_or_reason(one: FlowJob | PlanItem) -> str:
    """Return the job's state, or the `NotMigratedReason` of a plan item."""
    if isinstance(one, FlowJob):
        return one.state
    if one.action.is_work:
        return "not started"
    left = NotMigratedReason.NEEDS_CHANGES if one.needs_changes else one.not_migrated_reason
    return left or ACTION_WORDS[one.action]
