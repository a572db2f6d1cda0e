"""Why a retry can continue nothing, and what a person has to do instead."""

from collections import Counter
from collections.abc import Sequence

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.changes_needed import instructions_for
from shared.domain.plans.display_text import ACTION_WORDS, LEFT_WORDS
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem


def nothing_to_retry(
    remediation_id: str, found: Sequence[FlowJob | PlanItem], code: str = ""
) -> tuple[str, str]:
    """Return the reason and the instruction; `found` are the flows that the retry is about."""
    states = Counter(map(_state, found))
    with_code = f" with the code {code}" if code else ""
    standing = ", ".join(f"{number} {state}" for state, number in states.items())
    reason = f"No flow is blocked, failed or waiting{with_code}" + (
        f": {standing}." if standing else "."
    )
    show = f"cmkflow remediation show {remediation_id}"
    items = [one for one in found if isinstance(one, PlanItem) and one.needs_changes]
    if items:
        changes = instructions_for(items, f"cmkflow plan show {remediation_id}")
        return reason, f"{changes} Then start a new remediation."
    return reason, f"See how far each flow is: {show}"


def _state(one: FlowJob | PlanItem) -> str:
    if isinstance(one, FlowJob):
        return one.state.replace("_", " ")
    if one.action.has_job:
        return "not started"
    left = NotMigratedReason.NEEDS_CHANGES if one.needs_changes else one.left
    return LEFT_WORDS[left][0] if left else ACTION_WORDS[one.action]
