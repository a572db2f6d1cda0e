from datetime import timedelta

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


async def build_waiting_scenario() -> tuple[Scenario, FakeFlow]:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    stuck = scenario.build.add_polling_flow("Mail")
    scenario.build.apply_key(migrated=False)
    await scenario.start_remediation()
    return scenario, stuck


async def test_job_waits_four_days_for_a_platform_migration() -> None:
    scenario, _ = await build_waiting_scenario()
    await scenario.run(4 * DAY - timedelta(hours=2))
    waiting = await scenario.read_environment_job()
    assert waiting.state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    assert waiting.next_check_at is not None

    scenario.build.migrate()
    await scenario.run(timedelta(hours=1))

    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


async def test_job_is_blocked_if_the_platform_migration_does_not_continue() -> None:
    scenario, stuck = await build_waiting_scenario()

    await scenario.run(5 * DAY)

    blocked = await scenario.read_environment_job()
    assert blocked.state is EnvironmentJobState.BLOCKED
    assert f"Mail ({stuck.flow_name})" in blocked.message
    assert "Orders" not in blocked.message
    assert "ticket" in blocked.fix
    assert "exclude" in blocked.fix
    assert scenario.world.writes == []

    await scenario.retry(run=DAY)
    waiting = await scenario.read_environment_job()
    scenario.build.migrate()
    await scenario.run(DAY)

    assert waiting.state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL


async def test_job_does_not_wait_for_excluded_flows() -> None:
    scenario, stuck = await build_waiting_scenario()
    scenario.build.environment.is_migrating = False
    await scenario.run(5 * DAY)
    await scenario.opt_in(excluded_flows=frozenset({stuck.workflow_id}))

    await scenario.retry(run=DAY)
    plan = await scenario.plan()
    await scenario.approve()

    assert {name: item.action for name, item in plan.items()} == {"Orders": PlannedAction.COPY}
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_wait_for_an_edited_flow_ends_after_days() -> None:
    """The platform may not migrate an edited flow."""
    scenario = Scenario()
    scenario.world.assumptions.edited_flows_migrate = False
    admin = scenario.build.add_admin_list_flow("Admin")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(RemediationMode.APPLY, admin.workflow_id)
    await scenario.approve(run=DAY)
    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED

    await scenario.order(cause="order-2")
    await scenario.run(5 * DAY)

    blocked = await scenario.read_environment_job()
    assert blocked.state is EnvironmentJobState.BLOCKED
    assert "Admin" in blocked.message
