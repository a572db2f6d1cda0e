"""Test that a rollback needs consent to the backlog replay of a polling original."""

from datetime import timedelta

import pytest

from functions import remediation_actions_api
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked
from shared.use_cases import change_remediation
from tests.fakes import definition_builder as define
from tests.fakes.tenant import FakeFlow
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_approve,
    plan_and_run_until,
    plan_remediation,
)

HOUR = timedelta(hours=1)


def add_polling_parent(scenario: Scenario) -> FakeFlow:
    child = scenario.build.add_http_flow("Child", {"Answer": define.build_response_action()})
    trigger = define.build_connector_trigger("shared_teams", "OnNewChannelMessage")
    actions = {"Run": define.build_child_flow_action(child.workflow_id)}
    connections = {"shared-teams-1": "shared_teams"}
    return scenario.build.add_flow("Poll", trigger, actions, connections=connections)


async def build_cut_over_scenario() -> tuple[Scenario, FakeFlow]:
    scenario = Scenario()
    poll = add_polling_parent(scenario)
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=5))
    assert not poll.is_on
    return scenario, poll


@pytest.mark.parametrize("undo", [change_remediation.roll_back, change_remediation.cancel])
async def test_rollback_without_consent_to_the_replay_is_rejected(undo: object) -> None:
    scenario, poll = await build_cut_over_scenario()
    before = await scenario.read_jobs()

    with pytest.raises(JobBlocked, match=r"Poll \(since 20.* UTC, \d+ (h|min)\)") as caught:
        await undo(scenario.services, scenario.remediation.id)  # type: ignore[operator]  # one of two
    await scenario.run(HOUR)

    assert caught.value.code == "backlog_replay"
    assert "--accept-replay" in caught.value.fix
    assert "only the other flows: name each in `flow_ids` (--flow)" in caught.value.fix
    assert not poll.is_on
    after = await scenario.read_jobs()
    assert {name: job.requested_command for name, job in after.items()} == dict.fromkeys(before)
    assert after["Poll"].state is not FlowJobState.ROLLING_BACK


async def test_rollback_with_consent_lists_the_replayed_flows() -> None:
    scenario, poll = await build_cut_over_scenario()
    sent = (await scenario.read_job("Poll")).original.last_write

    done = await change_remediation.roll_back(
        scenario.services, scenario.remediation.id, replay=True
    )
    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Poll")
    assert [one.display_name for one in done.replays] == ["Poll"]
    assert sent
    assert done.replays[0].off_since == sent.first_sent_at
    assert job.state is FlowJobState.ROLLED_BACK
    assert any(note.startswith("Processes its backlog again: Poll (since ") for note in job.notes)
    assert poll.is_on


async def test_api_requires_consent_to_the_replay_and_lists_the_flows() -> None:
    scenario, poll = await build_cut_over_scenario()
    provide(scenario.services)
    identity = scenario.remediation.id

    refused = await call(remediation_actions_api.roll_back_remediation, None, id=identity)
    accepted = await call(
        remediation_actions_api.roll_back_remediation, {"accept_replay": True}, id=identity
    )

    assert (refused.status, refused.document["reason_code"]) == (409, "backlog_replay")
    assert "Poll (since" in refused.document["detail"]
    assert accepted.status == 202
    assert [one["workflow_id"] for one in accepted.document["replays"]] == [poll.workflow_id]


async def test_rollback_requested_before_a_cutover_waits_for_consent() -> None:
    scenario = Scenario()
    poll = add_polling_parent(scenario)
    await plan_and_run_until(scenario, "Poll", FlowJobState.CUTTING_OVER)

    async def order() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    disturb(scenario, "environments", "get_cached", order)
    await scenario.run(timedelta(days=20))
    blocked = await scenario.read_job("Poll")
    was_on = poll.is_on
    await change_remediation.roll_back(scenario.services, scenario.remediation.id, replay=True)
    await scenario.run(timedelta(days=60))

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "backlog_replay")
    assert not was_on
    assert (await scenario.read_job("Poll")).state is FlowJobState.ROLLED_BACK
    assert poll.is_on


async def test_rollback_of_called_flows_needs_no_consent() -> None:
    """Called flows and webhooks process no backlog."""
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.add_keyword_flow("Keyword")
    await plan_and_approve(scenario)

    done = await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    assert done.replays == ()
    assert done.flow_count == 2


async def test_command_requires_the_option_that_accepts_the_replay() -> None:
    scenario, _ = await build_cut_over_scenario()
    provide(scenario.services)
    order = ("rollback", scenario.remediation.id, "--yes")

    async with serve_app() as cli:
        refused = await cli.run(*order)
        accepted = await cli.run(*order, "--accept-replay")

    assert refused.exit_code != 0
    assert "Poll (since" in refused.output
    assert "--accept-replay" in refused.output
    assert accepted.exit_code == 0
    assert "Poll will process the events since" in accepted.output
