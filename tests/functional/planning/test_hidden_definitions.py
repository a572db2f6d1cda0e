"""Flows without a row whose definition is kept from the app: read as a co-owner of the moment."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowServiceFlow
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.errors import JobBlocked, PlatformMigrationInProgress
from shared.reason import Reason
from shared.settings import OnOriginalEdited
from shared.use_cases.change_remediation import cancel
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.driver import Driver
from tests.fakes.pause import PauseBefore
from tests.fakes.ports import Ports
from tests.fakes.tenant import TwinFlow
from tests.functional.copying.test_temporary_co_ownership import SlowRights
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Story, edit, kill_after

HOUR = timedelta(hours=1)


def hidden_story(mode: ApprovalPolicy = ApprovalPolicy.REQUIRED) -> tuple[Story, TwinFlow]:
    """Return a tenant with one such flow, which stays on Microsoft's key."""
    story = Story(mode=mode)
    assumptions = story.world.assumptions
    assumptions.my_flows_have_rows = False
    assumptions.definitions_hidden_from_administrators = True
    flow = story.build.http_flow("Hidden")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    story.build.link()
    return story, flow


async def test_the_plan_shows_it_and_it_is_copied_like_any_other() -> None:
    """The operator is its co-owner while somebody reads, and no longer; also in the job's steps."""
    story, flow = hidden_story()
    await story.opt_in()
    await story.order()
    item = (await story.plan())["Hidden"]
    between = dict(flow.co_owners)

    await story.approve()

    assert (item.action, item.category) == (PlannedAction.COPY, "http")
    job = await story.job("Hidden")
    assert job.state is FlowJobState.RETIRED, job.reason
    assert not flow.is_on
    assert (between, flow.co_owners, job.active_grants) == ({}, {}, ())


@pytest.mark.parametrize("mode", [RemediationMode.ASSESS, RemediationMode.DRY_RUN])
async def test_what_writes_nothing_does_not_know_it(mode: RemediationMode) -> None:
    """A dry run is one: the plan says what would tell."""
    story, _ = hidden_story()
    await story.opt_in()

    await story.order(mode)

    item = (await story.plan())["Hidden"]
    assert (item.action, item.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
    assert f"mode {mode} writes nothing" in item.explanation
    assert "operator" in item.instruction
    assert story.world.writes == []


async def test_the_kill_switch_stops_the_co_ownership_and_not_the_plan() -> None:
    """Nothing is written; all else is planned."""
    story, _ = hidden_story()
    story.build.http_flow("Orders")
    story.build.migrate()
    await story.opt_in()
    await set_kill_switch(story.services, is_on=True, by="tests", reason="test")

    await story.order()

    plan = await story.plan()
    assert (plan["Orders"].category, plan["Hidden"].category) == ("http", "unknown")
    assert "kill switch" in plan["Hidden"].explanation
    assert story.world.writes == []


async def test_an_operator_who_is_its_co_owner_needs_no_loan() -> None:
    """It is read in a dry run too, and stays what it was."""
    story, flow = hidden_story()
    flow.co_owners[story.world.operator.entra_id] = "CanEdit"
    await story.opt_in()

    await story.order(RemediationMode.DRY_RUN)

    assert (await story.plan())["Hidden"].category == "http"
    assert story.world.writes == []
    assert flow.co_owners == {story.world.operator.entra_id: "CanEdit"}


class NoOperator:
    """The access of an app for which nobody has signed in."""

    async def definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Say so."""
        raise JobBlocked("No operator is set up.", code=Reason.SERVICE_ACCOUNT_SIGNED_OUT)


async def test_without_an_operator_it_is_unknown_and_told() -> None:
    """The flow is in the plan, for a person."""
    story, _ = hidden_story()
    story.around = lambda ports: replace(ports, flow_access=cast("Any", NoOperator()))
    await story.opt_in()

    await story.order()

    item = (await story.plan())["Hidden"]
    assert (item.action, item.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
    assert "No operator is set up" in item.explanation


async def test_rights_that_come_late_are_waited_for() -> None:
    """The job looks again, and gives back what it has lent."""
    story, flow = hidden_story()
    access = SlowRights(story.twins.ports.flow_access, flow.flow_name, 0, definitions=3)

    def around(ports: Ports) -> Ports:
        return replace(ports, flow_access=cast("Any", access))

    story.around = around
    await story.opt_in()

    await story.order()

    assert (await story.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


@pytest.mark.parametrize("call", ["grant", "revoke"])
async def test_a_migration_is_waited_for(call: str) -> None:
    """The platform refuses every write for now: that is no answer about this flow."""
    story, flow = hidden_story()
    await story.opt_in()

    async def refuse() -> None:
        raise PlatformMigrationInProgress(
            "moving", code="EnvironmentMigrationInProgress", status=409
        )

    disturb(story, "flow_access", call, refuse)

    await story.order(run=timedelta(minutes=1))

    assert (await story.environment_job()).code == Reason.PLATFORM_MIGRATION_RUNNING
    await story.run(timedelta(hours=2))
    assert (await story.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


@pytest.mark.parametrize("call", ["grant", "definition", "revoke"])
async def test_a_process_that_dies_lends_nothing_for_good(call: str) -> None:
    """The next delivery returns what the one before it has lent."""
    story, flow = hidden_story()
    await story.opt_in()
    plan = kill_after(story, f"FlowAccessTwin.{call}")

    await story.order()

    assert plan.at is not None
    assert (await story.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


async def test_what_a_cancelled_job_has_lent_is_returned_by_a_timer() -> None:
    """Who cancels takes the row from the delivery that is co-owner at this moment."""
    story, flow = hidden_story()
    await story.opt_in()
    disturb(
        story,
        "flow_access",
        "grant",
        lambda: cancel(story.services, story.remediation.id),
        after=True,
    )

    await story.order(run=timedelta(days=2))

    assert (await story.environment_job()).state == "cancelled"
    assert flow.co_owners == {}


async def test_a_loan_is_noted_while_an_edited_original_is_copied_again() -> None:
    """Whoever rolls back in that moment returns it: each delivery leaves the row true."""
    story, flow = hidden_story()
    story.settings = story.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    story.renew()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(hours=1))
    assert (await story.job("Hidden")).reached is FlowJobState.CHECKING_FOR_CALLS
    edit(flow)
    unnoted: list[object] = []

    def look() -> None:
        rows = [row for name, row in story.twins.store.rows.items() if name[0] == "flowjobs"]
        if flow.co_owners and '"borrowed":[]' in str(rows):
            unnoted.append(rows)

    story.driver.meanwhile = look
    await story.run(timedelta(days=30))

    job = await story.job("Hidden")
    assert [change.state for change in job.history].count(FlowJobState.COPYING) == 2
    assert (job.state, unnoted, flow.co_owners) == (FlowJobState.RETIRED, [], {})


@pytest.mark.parametrize("is_approved", [False, True])
async def test_what_a_frozen_delivery_has_lent_is_returned_while_the_plan_waits(
    *, is_approved: bool
) -> None:
    """It waits for its approval, or for its flows, for days; nobody plans in that time."""
    story, flow = hidden_story(ApprovalPolicy.AUTOMATIC if is_approved else ApprovalPolicy.REQUIRED)
    await story.opt_in()
    pause = PauseBefore(
        call="FlowAccessTwin.grant",
        number=1,
        sleeps=timedelta(minutes=9),
        clock=story.world.clock,
    )
    story.driver = Driver(twins=story.twins, make=story.make, plan=pause)

    await story.order(run=timedelta(minutes=8))
    planned = await story.environment_job()
    assert (pause.is_asleep, planned.lent) == (True, (flow.flow_name,))
    assert planned.state == ("running_flow_jobs" if is_approved else "awaiting_approval")
    await story.run(timedelta(minutes=2))
    assert flow.co_owners
    await story.run(timedelta(hours=2))

    assert flow.co_owners == {}
    job = await story.environment_job()
    assert (job.state, job.has_grants) == (planned.state, False)


async def test_operator_that_a_plan_was_given_late_is_taken_off_the_flow() -> None:
    """The delivery wakes after everything that waits for it; the daily sweep looks once more."""
    story, flow = hidden_story()
    await story.opt_in()
    pause = PauseBefore(
        call="FlowAccessTwin.grant",
        number=1,
        sleeps=timedelta(hours=2),
        clock=story.world.clock,
    )
    story.driver = Driver(twins=story.twins, make=story.make, plan=pause)
    await story.order(run=timedelta(hours=3))
    assert not pause.is_asleep
    assert flow.co_owners != {}

    await story.driver.call(lambda s: run_daily_check(s, "today"))

    assert flow.co_owners == {}
    assert Reason.GRANT_NOT_REVOKED not in [told.code for told in story.twins.notices.told]
