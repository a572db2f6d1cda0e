"""Remediations at the default budget of the flow service, five calls a minute, in moved time.

That budget decides how long a remediation takes: it is used while work waits, nothing is called
twice because of it, and what was begun is ended before more is begun.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.state.call_budget import CallBudget
from shared.adapters.state.call_ledger import BudgetLimit
from shared.domain.environment import Mode
from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.job import FlowJob
from shared.services import Services
from shared.settings import Settings
from tests.functional.stories.remediation_story import Story
from tests.twins.ports import Ports
from tests.twins.services import services_of

FLOWS = 40
MINUTE = timedelta(minutes=1)
LIMIT = BudgetLimit(
    name="flow-service",
    calls=Settings(tenant_id="twins").flow_service_calls_per_minute,
    window=MINUTE,
)
#: Ports of the flow service, and those of Dataverse and the admin API that each flow needs.
SCARCE = ("flow_reports", "flow_access", "flow_switch")
PLENTY = ("workflows", "flow_sharing", "solutions", "connection_references", "environments")
#: A write does not wait for the budget.
WRITES = {"add_operator", "remove_operator", "start", "stop"}


@dataclass(slots=True)
class Meter:
    """When calls were made, by port."""

    made: dict[str, list[datetime]] = field(
        default_factory=lambda: {name: [] for name in (*SCARCE, *PLENTY)}
    )

    @property
    def scarce(self) -> Sequence[datetime]:
        """Return when the flow service was called."""
        return sorted(moment for name in SCARCE for moment in self.made[name])

    def counts(self) -> Counter[str]:
        """Return the calls of the flow service, and of the others."""
        return Counter(scarce=len(self.scarce), plenty=sum(len(self.made[name]) for name in PLENTY))


class Metered:
    """Stands before a port, all of whose methods are calls."""

    def __init__(
        self, port: object, budget: CallBudget | None, made: list[datetime], ports: Ports
    ) -> None:
        self._port, self._budget, self._made, self._clock = port, budget, made, ports.clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def metered(*arguments: Any, **named: Any) -> Any:
            if self._budget:
                if name not in WRITES:
                    await self._budget.ready()
                await self._budget.take()
            self._made.append(self._clock.now())
            return await method(*arguments, **named)

        return metered


async def remediated(limit: BudgetLimit) -> tuple[Meter, Sequence[FlowJob]]:
    """Remediate forty flows within a budget; returns the calls made, and the jobs."""
    meter = Meter()

    def metered(ports: Ports) -> Services:
        budget = CallBudget(ports.store, ports.clock, limit)
        services = services_of(ports)
        behind: dict[str, Any] = {
            name: Metered(getattr(services, name), budget if name in SCARCE else None, made, ports)
            for name, made in meter.made.items()
        }
        return replace(services, calls=budget, **behind)

    story = Story(mode=Mode.AUTO)
    story.driver.make = metered
    for number in range(FLOWS):
        story.build.http_flow(f"Flow {number}")
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.run(timedelta(days=30))
    return meter, list((await story.jobs()).values())


async def test_a_small_budget_is_used_and_costs_no_call() -> None:
    """Of what five calls a minute allow, 95 % are made until all callers have moved.

    No service is called more often than where calls are plenty, but for a tenth, and the first
    flow is quiet within ten minutes.
    """
    wide, _ = await remediated(replace(LIMIT, calls=100_000))
    meter, jobs = await remediated(LIMIT)

    assert {job.state for job in jobs} == {JobState.RETIRED}
    moved = sorted(job.cut_over_at for job in jobs if job.cut_over_at)
    begun = min(job.history[0].at for job in jobs)
    first, last = moved[0] - begun, moved[-1] - begun
    made = sum(begun < moment <= moved[-1] for moment in meter.scarce)
    allowed = LIMIT.calls * (last / MINUTE)
    assert all(count <= 1.1 * wide.counts()[name] for name, count in meter.counts().items())
    assert made >= 0.95 * allowed
    assert first <= 10 * MINUTE
    most = max(sum(one - MINUTE < other <= one for other in meter.scarce) for one in meter.scarce)
    assert most <= LIMIT.calls
