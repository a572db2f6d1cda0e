"""Plans as one self-contained page, for whoever has to approve them or to act before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.plan_models import PlanAnswer, PlanItemAnswer
from shared.domain.plans.words import ACTION_WORDS, place_in_plan
from shared.domain.trigger_urls.trigger_url import redact

_TEMPLATE = "plan.html.j2"


def plan_page(remediation_id: str, plans: Sequence[PlanAnswer]) -> str:
    """Return the page; names from the tenant are escaped, signatures redacted. No script in it."""
    # The app starts without it: most instances never make a page.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    page = environment.get_template(_TEMPLATE).render(
        remediation_id=remediation_id,
        plans=[_shown(plan) for plan in plans],
        words=ACTION_WORDS,
        counts=_counts(plans),
        awaiting=sum(len(plan.awaiting) for plan in plans),
        changed=sum(bool(item.changed) for plan in plans for item in plan.items),
    )
    return redact(page)


def _shown(plan: PlanAnswer) -> Mapping[str, Any]:
    titles = {item.workflow_id: item.display_name for item in plan.items}
    return {
        "plan": plan,
        "job": plan.environment_job,
        "title": plan.environment_job.environment_name or plan.environment_job.environment_id,
        "items": sorted(plan.items, key=_place),
        "titles": titles,
        "counts": _counts([plan]),
    }


def _place(item: PlanItemAnswer) -> tuple[bool, int, str]:
    return place_in_plan(changed=item.changed, action=item.action, title=item.display_name)


def _counts(plans: Sequence[PlanAnswer]) -> dict[str, int]:
    count = Counter[str](item.action for plan in plans for item in plan.items)
    return {action: count[action] for action in ACTION_WORDS if count[action]}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
