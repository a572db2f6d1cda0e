"""Remediations use the calls that a budget allows while work is waiting, on a clock of the test's.

The flow service takes five calls a minute by default: it decides how long a remediation takes.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.adapters.state.call_budget import BudgetLimit, CallBudget
from shared.domain.environment import Mode
from shared.domain.jobs.flow_states import JobState
from shared.errors import Throttled
from shared.services import Services
from shared.settings import Settings
from tests.functional.stories.remediation_story import Story
from tests.twins.ports import Ports
from tests.twins.services import services_of

JOBS = 40
#: Of the calls that the budget allows while there is work for them.
LEAST = 0.9
#: For each call that is made. Were all that wait called at once, it would be seven with forty
#: jobs, and more with each further one.
MOST_REFUSALS = 5


@dataclass(slots=True)
class Meter:
    """When calls were made, and when one was refused because the budget was used up."""

    made: list[datetime] = field(default_factory=list)
    refused: list[datetime] = field(default_factory=list)

    def share(self, limit: BudgetLimit) -> float:
        """Return the share that was used of what the budget allows, while work was waiting.

        Work waits from a refusal to the next, unless that comes so late that nothing did.
        """
        spans = [
            (one, other) for one, other in pairwise(self.refused) if other - one <= 2 * limit.window
        ]
        waited = sum((other - one for one, other in spans), timedelta())
        used = sum(any(one < moment <= other for one, other in spans) for moment in self.made)
        return used / (limit.calls * (waited / limit.window))


class Metered:
    """Stands before a port, all of whose methods are calls: each takes from the budget."""

    def __init__(self, port: object, budget: CallBudget, meter: Meter, ports: Ports) -> None:
        self._port, self._budget, self._meter, self._clock = port, budget, meter, ports.clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def metered(*arguments: Any, **named: Any) -> Any:
            try:
                await self._budget.take()
            except Throttled:
                self._meter.refused.append(self._clock.now())
                raise
            self._meter.made.append(self._clock.now())
            return await method(*arguments, **named)

        return metered


async def test_nine_tenths_of_a_budget_are_used_while_jobs_wait() -> None:
    """Forty flow jobs share five calls a minute of the flow service; each ends retired.

    Those that wait are not all called for the few calls of the next minute.
    """
    limit = BudgetLimit(
        name="flow-service",
        calls=Settings(tenant_id="twins").flow_service_calls_per_minute,
        window=timedelta(minutes=1),
    )
    meter = Meter()

    def metered(ports: Ports) -> Services:
        budget = CallBudget(ports.store, ports.clock, limit)
        services = services_of(ports)
        names = ("flow_reports", "flow_access", "flow_switch")
        behind: dict[str, Any] = {
            name: Metered(getattr(services, name), budget, meter, ports) for name in names
        }
        return replace(services, **behind)

    story = Story(mode=Mode.AUTO)
    story.driver.make = metered
    for number in range(JOBS):
        story.build.http_flow(f"Flow {number}")
    story.build.link()
    await story.opt_in()

    await story.order()
    await story.run(timedelta(days=30))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {JobState.RETIRED}
    assert meter.share(limit) >= LEAST, meter.share(limit)
    assert len(meter.refused) <= MOST_REFUSALS * len(meter.made)
