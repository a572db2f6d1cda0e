"""Which flow a trigger URL leads to that stands at a caller: looked up where nobody knows.

Only a run of the flow tells without a co-ownership: a call of the flow service's small budget for
each flow (platform.md#flow-runs). So flows are looked at only while a caller holds a URL that is
nobody's.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.alerts import readable
from shared.domain.callers.notification_channels import channel_url_ids
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.services import Services
from shared.steps.flows.caller_index import index_url, known_url_ids, url_id_of_runs
from shared.steps.updating_callers.find_callers import SEARCH_LASTS

#: Flows looked at for a plan that waits for its approval: two minutes of the shipped budget. A plan
#: that writes nothing is read for what it says, and waits for all of them.
MOST_LOOKS = 10
#: Ids that the row of an environment job holds.
_REMEMBERED = 5_000
#: Callers that a finding names; the rest is counted.
_NAMED = 20
_URL_ID = re.compile("[0-9a-f]{32}")


@dataclass(slots=True, kw_only=True)
class TriggerUrlIndex:
    """What is known of the trigger URLs that callers hold; by their ids."""

    #: By workflow id: earlier jobs and plans of the environment found them.
    known: Mapping[str, str]
    #: Callers hold them, and nobody knows whose they are.
    unclaimed: set[str]

    @property
    def shown(self) -> tuple[str, ...]:
        """Return what a plan remembers of those that are nobody's."""
        return tuple(sorted(self.unclaimed)[:_REMEMBERED])

    async def look_up(self, services: Services, environment_id: str, item: PlanItem) -> PlanItem:
        """Return the item with its URL's id, if a run shows it. Raises `TransientError`."""
        url_id = await url_id_of_runs(services, environment_id, item.flow_name)
        self.unclaimed.discard(url_id)
        if url_id:
            known = KnownUrl(
                environment_id=environment_id,
                workflow_id=item.workflow_id,
                url_id=url_id,
                found_by=item.environment_job_id,
            )
            await index_url(services, known)
        return replace(item, trigger_url_id=url_id, was_run_checked=True)

    def looked_at(self, items: Iterable[PlanItem], most: int | None) -> frozenset[str]:
        """Return the workflow ids of the flows to look at, the same whenever it is asked."""
        flows = [
            item.workflow_id
            for item in sorted(items, key=lambda one: (not one.action.has_job, one.workflow_id))
            if item.has_trigger_url and item.is_on and item.workflow_id not in self.known
        ]
        return frozenset(flows[:most])


async def trigger_urls(
    services: Services, job: EnvironmentJob, items: Iterable[PlanItem]
) -> TriggerUrlIndex:
    """Return what is known before any flow is looked at; `items` are the job's own plan."""
    known = await known_url_ids(services, job.environment_id, but_not=job.id)
    claimed = {*known.values(), *(item.trigger_url_id for item in items)}
    async for kept in readable(services, services.tables.flow_jobs.scan()):
        claimed |= {kept.item.original_url_id, kept.item.copy_url_id}
    # Of flows that have not changed since the plan was made, the places were noted for it.
    since = (job.planned_at or services.now) - SEARCH_LASTS
    held = {
        kept.item.held_id
        async for kept in readable(services, services.tables.caller_index.scan())
        if kept.item.found_at >= since and _URL_ID.fullmatch(kept.item.held_id)
    }
    held |= channel_url_ids(services.settings.channel_addresses.values())
    return TriggerUrlIndex(known=known, unclaimed=held - claimed)


async def find_unmatched_callers(
    services: Services, urls: TriggerUrlIndex, items: Iterable[PlanItem]
) -> tuple[str, ...]:
    """Name, as a finding, the callers of which no run told whom they call; none if that is clear.

    One of them may call a flow of the plan whose URL is not known.
    """
    if not any(item.has_trigger_url and item.is_on and not item.trigger_url_id for item in items):
        return ()
    labels = sorted(
        {
            kept.item.caller.label
            for url_id in urls.unclaimed
            async for kept in readable(services, services.tables.caller_index.scan(url_id))
        }
    )
    if not labels:
        return ()
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    text = (
        f"Callers hold trigger URLs of which no run tells whose they are: "
        f"{', '.join(labels[:_NAMED])}{more}. Each flow's job reads its own URL, and updates those "
        "that hold it. A dry run looks at the runs of every flow; a plan to approve at those of "
        f"{MOST_LOOKS}."
    )
    return (text,)
