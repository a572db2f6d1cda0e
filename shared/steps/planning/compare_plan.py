"""Compare the approved plan with the tenant as it is now, and require another approval for what has
changed.

Days may pass between the approval and the first write. Only reads from the platform.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.domain.environment import Environment
from shared.domain.ids import derive_copy_id
from shared.domain.plans.choose_url_secret import apply_url_secret_choices
from shared.domain.plans.not_migrated import count_flows_not_included
from shared.domain.plans.plan_approval import (
    ApprovalDecision,
    apply_approval,
    exclude_unapproved_items,
)
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.row_limits import select_fitting_findings, with_firewall_issues
from shared.jobs.leased_job import LeasedJob
from shared.services import Services
from shared.steps.flows.caller_index import read_callers_by_id
from shared.steps.planning.complete_plan import (
    FlowRunLookups,
    KnownCallers,
    list_copied_flows,
    list_ids_that_callers_have,
    read_completed_items,
    with_callers,
)
from shared.steps.planning.make_plan import find_firewall_issues
from shared.steps.planning.policy_denials import find_policy_denials
from shared.steps.planning.trigger_urls import (
    TriggerUrlIndex,
    find_unmatched_callers,
    read_trigger_url_index,
)
from shared.steps.planning.url_secrets import propose_url_secrets


async def require_new_approval_for_changes(
    held: LeasedJob[EnvironmentJob],
    environment: Environment,
    now: tuple[Sequence[PlanItem], Sequence[str]],
) -> EnvironmentJob:
    """Decide which approved items may start.

    Return the job with the number of items that await another approval. `now` contains the items
    and findings of a plan made now. If an item has more changes than were approved, the new item
    replaces it and is not started (`PlanItem.changed_since_approval`).
    """
    services, job, plan = held.services, held.job, held.open_rows(held.services.tables.plan_items)
    planned = apply_url_secret_choices(job, await plan.read_all())
    urls = await read_trigger_url_index(services, job, planned)
    planned = await _look_up_new_callers(held, planned, urls)
    now_items, findings = now
    decision = ApprovalDecision(
        number=job.approval_count,
        approved_by=job.approved_by,
        excluded_from_approval=frozenset(job.excluded_from_approval),
    )
    found = await _read_current_items(services, job, planned, now_items)
    decided = await _complete_changed_items(
        services, environment, apply_approval(planned, found, decision), urls
    )
    await plan.upsert(*decided)
    items = {item.workflow_id: item for item in (*planned, *decided)}
    awaiting = sum(item.awaits_approval for item in items.values())
    if awaiting:
        unclaimed = await find_unmatched_callers(services, urls, list(items.values()))
        job = replace(
            job,
            findings=select_fitting_findings((*findings, *unclaimed)),
            unmatched_trigger_urls=urls.unmatched_ids_to_store,
        )
        network = await find_firewall_issues(services, environment, list(items.values()))
        job = replace(
            with_firewall_issues(job, *network),
            planned_at=services.now,
            approval_expires_at=services.now + services.settings.approval_period,
        )
    counts = Counter(str(item.action) for item in items.values())
    left = count_flows_not_included(job.mode, items.values())
    return replace(
        job, awaiting_approval_count=awaiting, planned_action_counts=dict(counts), not_migrated=left
    )


async def exclude_unapproved_changes(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Exclude the items that changed after their approval, because nobody approved the changes in
    time. Return the job.
    """
    plan = held.open_rows(held.services.tables.plan_items)
    await plan.upsert(*exclude_unapproved_items(await plan.read_all()))
    left = count_flows_not_included(held.job.mode, await plan.read_all())
    return replace(held.job, awaiting_approval_count=0, not_migrated=left)


async def _look_up_new_callers(
    held: LeasedJob[EnvironmentJob], planned: Sequence[PlanItem], urls: TriggerUrlIndex
) -> list[PlanItem]:
    """Return the items. While callers hold new URLs that match no flow, read runs of flows with
    unknown URLs.
    """
    services, job = held.services, held.job
    items = []
    for item in planned:
        is_open = item.awaits_approval and item.has_trigger_url and item.is_on
        if (
            is_open
            and not item.trigger_url_id
            and not item.was_run_checked
            and urls.unclaimed - set(job.unmatched_trigger_urls)
        ):
            item = await urls.read_and_store_url_id(services, job.environment_id, item)
            await held.open_rows(services.tables.plan_items).upsert(item)
            await held.record_progress()
        items.append(item)
    return items


async def _complete_changed_items(
    services: Services, environment: Environment, items: Sequence[PlanItem], urls: TriggerUrlIndex
) -> list[PlanItem]:
    async def store_nothing(_: Sequence[PlanItem]) -> None: ...

    changed = [replace(item, is_complete=False) for item in items if item.awaits_approval]
    looks = FlowRunLookups(urls=urls)
    done = await read_completed_items(
        services, environment, changed, looks, store_nothing, plan=items
    )
    return [*done, *(item for item in items if not item.awaits_approval)]


def _with_known_facts(item: PlanItem, known: PlanItem) -> PlanItem:
    """Return the item with facts that were read earlier, because each would take a request."""
    return replace(
        item,
        trigger_url_id=known.trigger_url_id,
        was_run_checked=known.was_run_checked,
        co_owner_count=known.co_owner_count,
        solutions=known.solutions,
        url_secret_use=known.url_secret_use,
        notes=known.notes,
    )


async def _read_current_items(
    services: Services,
    job: EnvironmentJob,
    planned: Sequence[PlanItem],
    now: Sequence[PlanItem],
) -> Mapping[str, PlanItem]:
    """Return the approved items as they would be now, with their callers.

    Copies that the app has made since do not count as callers, because the approver could not know
    them.
    """
    approved = {item.workflow_id: item for item in planned if item.awaits_approval}
    copies = frozenset(
        derive_copy_id(job.environment_id, item.workflow_id, job.policy_id) for item in planned
    )
    items = [
        _with_known_facts(item, known) for item in now if (known := approved.get(item.workflow_id))
    ]
    places = await read_callers_by_id(services, list_ids_that_callers_have(items))
    known_callers = KnownCallers(
        environment_id=job.environment_id,
        places=places,
        secrets=await propose_url_secrets(services, job.environment_id, items, places),
        denials=await find_policy_denials(services, items, places),
        copied=list_copied_flows(now),
        but_not=copies,
    )
    return {item.workflow_id: with_callers(services, item, known_callers) for item in items}
