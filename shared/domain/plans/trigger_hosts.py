"""List the hosts that callers of copies have to reach, for outbound allow lists.

The trigger URL of a copy has a new host. It is certain once the app has read the copy's URL. Before
that, it is derived from the environment's id (platform.md#environment-host).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.plan_item import PlanItem


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerHostFlow:
    """A flow whose callers have to reach a trigger host."""

    workflow_id: str
    display_name: str
    #: Known callers, as the plan names them; there may be others.
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerHost:
    """The host of copies' trigger URLs, which callers have to reach on TCP port 443."""

    host: str
    #: True: read from a copy's URL. False: derived from the environment's id.
    is_confirmed: bool
    flows: tuple[TriggerHostFlow, ...]


def list_trigger_hosts(
    expected: str, items: Iterable[PlanItem], jobs: Mapping[str, FlowJob]
) -> tuple[TriggerHost, ...]:
    """Return the hosts of the trigger URLs of a plan's copies.

    `expected` is the host derived from the environment's id. `jobs` contains the flow jobs by
    workflow id of the original.
    """
    found: dict[str, list[TriggerHostFlow]] = {}
    seen: set[str] = set()
    for item in items:
        if not (item.action.has_job and item.migration_method.has_copy and item.has_trigger_url):
            continue
        job = jobs.get(item.workflow_id)
        flow = TriggerHostFlow(
            workflow_id=item.workflow_id,
            display_name=item.display_name,
            callers=tuple(caller.label for caller in item.callers),
        )
        host = (job.copy.host if job else "") or expected
        found.setdefault(host, []).append(flow)
        if job and job.copy.host:
            seen.add(host)
    return tuple(
        TriggerHost(host=host, is_confirmed=host in seen, flows=tuple(flows))
        for host, flows in sorted(found.items())
    )
