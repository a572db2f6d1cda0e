"""Find the flow of a trigger URL that a caller holds, if no known flow has the URL.

Without co-ownership, only a run of a flow shows its URL id, for one request of the flow service's
small budget (platform.md#flow-runs). So runs are read only while a caller holds an unmatched URL.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.alerts import read_readable
from shared.domain.callers.notification_channels import list_channel_url_ids
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.services import Services
from shared.steps.flows.caller_index import (
    index_trigger_url,
    read_known_url_ids,
    read_url_id_of_runs,
)
from shared.steps.updating_callers.find_callers import SEARCH_LASTS

#: Flows that are read for a plan that needs approval: two minutes of the default budget. A plan
#: that writes nothing reads all of them.
MOST_LOOKS = 10
#: Most ids that the row of an environment job stores.
_MAX_STORED = 5_000
#: Most callers that a finding names; the others are counted.
_MAX_NAMED = 20
_URL_ID = re.compile("[0-9a-f]{32}")


@dataclass(slots=True, kw_only=True)
class TriggerUrlIndex:
    """The trigger URL ids of flows, and the ids that callers hold and no flow has."""

    #: By workflow id: found by earlier jobs and plans of the environment.
    known: Mapping[str, str]
    #: Ids that callers hold and that match no flow.
    unclaimed: set[str]

    @property
    def unmatched_ids_to_store(self) -> tuple[str, ...]:
        """Return the first ids that match no flow. The plan stores them."""
        return tuple(sorted(self.unclaimed)[:_MAX_STORED])

    async def read_and_store_url_id(
        self, services: Services, environment_id: str, item: PlanItem
    ) -> PlanItem:
        """Return the item with its trigger URL id, if a run shows it. Store the id for later plans.

        Raises `TransientError` if the runs cannot be read now.
        """
        url_id = await read_url_id_of_runs(services, environment_id, item.flow_name)
        self.unclaimed.discard(url_id)
        if url_id:
            known = KnownUrl(
                environment_id=environment_id,
                workflow_id=item.workflow_id,
                url_id=url_id,
                found_by=item.environment_job_id,
            )
            await index_trigger_url(services, known)
        return replace(item, trigger_url_id=url_id, was_run_checked=True)

    def list_flows_to_read(self, items: Iterable[PlanItem], most: int | None) -> frozenset[str]:
        """Return the workflow ids of the flows whose runs are read: at most `most`, flows with a
        job first.
        """
        flows = [
            item.workflow_id
            for item in sorted(items, key=lambda one: (not one.action.has_job, one.workflow_id))
            if item.has_trigger_url and item.is_on and item.workflow_id not in self.known
        ]
        return frozenset(flows[:most])


async def read_trigger_url_index(
    services: Services, job: EnvironmentJob, items: Iterable[PlanItem]
) -> TriggerUrlIndex:
    """Return the trigger URL ids that are known before any run is read.

    `items` are the items of the job's plan.
    """
    known = await read_known_url_ids(services, job.environment_id, but_not=job.id)
    claimed = {*known.values(), *(item.trigger_url_id for item in items)}
    async for kept in read_readable(services, services.tables.flow_jobs.scan()):
        claimed |= {kept.item.original.url_id, kept.item.copy.url_id}
    # The caller index has the callers of flows that have not changed since the plan was made.
    since = (job.planned_at or services.now) - SEARCH_LASTS
    held = {
        kept.item.held_id
        async for kept in read_readable(services, services.tables.caller_index.scan())
        if kept.item.found_at >= since and _URL_ID.fullmatch(kept.item.held_id)
    }
    held |= list_channel_url_ids(services.settings.channel_addresses.values())
    return TriggerUrlIndex(known=known, unclaimed=held - claimed)


async def find_unmatched_callers(
    services: Services, urls: TriggerUrlIndex, items: Iterable[PlanItem]
) -> tuple[str, ...]:
    """Return a finding that names the callers whose URLs match no flow, if there are any.

    Returns nothing if the URLs of all flows of the plan are known.
    """
    if not any(
        item.action.is_work and item.has_trigger_url and item.is_on and not item.trigger_url_id
        for item in items
    ):
        return ()
    labels = sorted(
        {
            kept.item.caller.label
            for url_id in urls.unclaimed
            async for kept in read_readable(services, services.tables.caller_index.scan(url_id))
        }
    )
    if not labels:
        return ()
    more = f" and {len(labels) - _MAX_NAMED} more" if len(labels) > _MAX_NAMED else ""
    text = (
        "These callers hold trigger URLs that match no flow: "
        f"{', '.join(labels[:_MAX_NAMED])}{more}. Each flow job reads its own URL later and "
        f"updates the callers that hold it. A plan for approval reads the runs of {MOST_LOOKS} "
        "flows; to match more callers before you approve, start a dry run, which reads those of "
        "all."
    )
    return (text,)
