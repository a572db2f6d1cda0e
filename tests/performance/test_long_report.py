from shared.domain.jobs.environment_states import EnvironmentJobState
from tests.performance.long_report import REPORT
from tests.performance.many_flows import build_many_flows
from tests.performance.remediation_figures import open_simulated_run

FLOWS = 6_000
#: Of both reports, 250 flows a page.
PAGES = 2 * FLOWS // 250
#: Runs of ten flows tell whom callers' URLs call; one call teaches the budget what is refused.
MOST_CALLS = PAGES + 11
#: At five calls in each minute and two seconds.
LONGEST_MINUTES = MOST_CALLS / 5 * 62 / 60 + 1


async def test_report_of_6000_flows_is_read_once_in_several_invocations() -> None:
    async with open_simulated_run(build_many_flows(FLOWS, flows_per_app=FLOWS // 50)) as moved:
        plan = await moved.start_and_plan(limit=100)
        job = await moved.scenario.read_environment_job()
        routes = moved.scenario.tenant.calls.routes

    assert (job.state, job.awaiting_approval_count) == (EnvironmentJobState.AWAITING_APPROVAL, 100)
    assert routes[REPORT] == PAGES
    assert plan.plan_calls["flow_service"] <= MOST_CALLS, plan
    assert plan.minutes_to_plan <= LONGEST_MINUTES, plan
