"""Assessments as one self-contained page, to be sent to those who have to act."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.domain.plans.mmk_reason import MmkReason
from shared.domain.trigger_urls.trigger_url import redact

_TEMPLATE = "assessment.html.j2"
#: By what the API calls a reason.
REASONS = {str(reason): reason.category.title for reason in MmkReason}
_TOPICS = {
    "eligibility": "Can the key be applied?",
    "key": "Is the key fit?",
    "flows": "Flows as a whole",
    "network": "Firewalls",
    "canvas_apps": "Canvas apps",
    "solutions": "Flows in solutions",
    "connections": "Connections",
    "copilot": "Copilot skills",
    "hosted_machines": "Hosted machine groups",
    "analytics": "Analytics and notifications",
    "run_history": "Run history",
    "finish_line": "The finish line",
}
_PHASES = {
    "before": "no key is applied yet",
    "migrating": "flows are being moved under the key",
    "after": "the key is applied",
    "unknown": "the key is applied; whether flows have moved is unknown",
}


def page_of(assessments: Sequence[Any]) -> str:
    """Return the page of the API's assessments; names from the tenant are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(_TEMPLATE).render(
        assessments=[{**one, "levels": _levels(one)} for one in assessments],
        reasons=REASONS,
        topics=_TOPICS,
        phases=_PHASES,
    )
    return redact(page)


def _levels(assessment: Any) -> dict[str, int]:
    count = Counter(
        finding["level"] for section in assessment["sections"] for finding in section["findings"]
    )
    return {level: count[level] for level in ("problem", "unknown", "warning", "ok")}
