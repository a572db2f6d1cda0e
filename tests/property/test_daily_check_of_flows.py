import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowSummary
from shared.domain.timer_run import DailyCheckTarget
from shared.errors import CmkflowError, PlatformError, ThrottledError
from shared.use_cases import check_in_rotation as module
from shared.use_cases.check_in_rotation import check_flows_in_rotation
from tests.functional.scenarios.remediation_scenario import Scenario

AT_A_TIME = 3


class KilledError(BaseException):
    """The process was killed."""


@dataclass(slots=True)
class Rationed:
    """A Dataverse with a daily request limit. It rejects the reads of some flows."""

    calls: int
    refused: frozenset[str]
    #: The process dies in this call; 0: it does not.
    dies_at: int = 0
    made: int = 0
    seen: list[str] = field(default_factory=list)

    async def read_summaries(
        self, _: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        self.made += 1
        if self.made == self.dies_at:
            raise KilledError
        if self.made > self.calls:
            return dict.fromkeys(workflow_ids, ThrottledError("used up"))
        return {
            one: PlatformError("no", code="no", status=400)
            if one in self.refused
            else WorkflowSummary(workflow_id=one, name=one, state=FlowState.OFF)
            for one in workflow_ids
        }

    async def record_checked(self, job_id: str, _: WorkflowSummary | None) -> None:
        self.seen.append(job_id)


async def run_daily_checks(
    flows: int, calls: int, refused: frozenset[str], deaths: list[int]
) -> None:
    scenario, turns = Scenario(), -(-flows // AT_A_TIME)
    scenario.build.apply_key()
    ids = {f"job-{n:03}": f"flow-{n:03}" for n in range(flows)}
    wanted = {job for job, flow in ids.items() if flow not in refused}
    environment = await scenario.services.environments.get(scenario.build.environment.id)
    seen = set[str]()
    first = ""
    for day in range(len(deaths) + -(-turns // calls) + 1):
        dies_at = deaths[day] if day < len(deaths) else 0
        today: Any = Rationed(calls, refused, dies_at=dies_at)
        services = _replace_workflows(scenario, today)
        try:
            missed = await check_flows_in_rotation(
                services, environment, DailyCheckTarget.RETIRED, ids, today.record_checked
            )
        except KilledError:
            missed = -1
        assert len(today.seen) == len(set(today.seen))
        if first and today.seen and ids[first] not in refused:
            assert today.seen[0] == first
        if missed >= 0:
            assert missed == flows - len(today.seen)
        kept = await services.tables.check_positions.get(environment.id, DailyCheckTarget.RETIRED)
        first = kept.item.next_job_id if kept else ""
        seen.update(today.seen)
    assert seen == wanted


def _replace_workflows(scenario: Scenario, workflows: Any) -> Any:
    return replace(scenario.services, workflows=workflows)


@given(
    flows=st.integers(1, 40),
    calls=st.integers(1, 6),
    refused=st.frozensets(st.integers(0, 39).map(lambda n: f"flow-{n:03}"), max_size=8),
    deaths=st.lists(st.integers(1, 4), max_size=3),
)
def test_daily_check_reads_each_flow_in_turn(
    flows: int, calls: int, refused: frozenset[str], deaths: list[int]
) -> None:
    with patch.object(module, "_AT_A_TIME", AT_A_TIME):
        asyncio.run(run_daily_checks(flows, calls, refused, deaths))
