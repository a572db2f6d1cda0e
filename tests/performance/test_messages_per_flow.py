"""Test how many messages a flow needs from its plan to its retirement.

Messages are counted when they are sent, including duplicates that the broker would drop.
"""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import QueueMessage
from shared.queues import FLOW_JOBS
from tests.functional.scenarios.remediation_scenario import Scenario

#: Of a called flow: one for each of seven steps; what is more, all flows of a plan share.
MOST_EACH = 7
MOST_SHARED = 30


@pytest.mark.parametrize("flows", [10, 80])
async def test_number_of_messages_is_proportional_to_the_flows(
    flows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.driver.most_at_once = 100 * flows
    for number in range(flows):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    await scenario.opt_in(max_flows=flows)
    sent: list[QueueMessage] = []
    take = scenario.fakes.messages.send

    async def send(*messages: QueueMessage) -> None:
        sent.extend(messages)
        await take(*messages)

    monkeypatch.setattr(scenario.fakes.messages, "send", send)

    await scenario.order(run=timedelta(days=10))

    jobs = await scenario.read_jobs()
    assert [job.state for job in jobs.values()] == [FlowJobState.RETIRED] * flows
    assert len(sent) <= MOST_EACH * flows + MOST_SHARED
    # As they stand in the line for calls: each sees who goes before it, and asks once.
    announced = [message.body["job"] for message in sent if message.queue == FLOW_JOBS][:flows]
    assert announced == sorted(job.id for job in jobs.values())
