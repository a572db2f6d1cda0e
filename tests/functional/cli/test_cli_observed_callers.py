from datetime import timedelta

from shared.bootstrap import provide
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.run_jobs import run_flow
from tests.functional.cli.api_scenario import parse_output
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario


async def test_flow_show_lists_who_still_calls_the_original(cli: CommandLine) -> None:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    flow = scenario.build.add_http_flow("Sales")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=3))
    provide(scenario.services)
    environment = scenario.build.environment.id

    before = parse_output(await cli.run("environment", "show", environment, "-o", "json"))
    permitted = await cli.run("environment", "set", environment, "--observe-callers")
    run_flow(scenario.world, flow).headers = {"User-Agent": "curl/8.5.0"}
    await scenario.driver.call(lambda services: run_daily_check(services, "day"))
    provide(scenario.services)
    shown = await cli.run("flow", "show", "Sales")
    listed = parse_output(await cli.run("flow", "show", "Sales", "-o", "json"))
    withdrawn = await cli.run("environment", "set", environment, "--no-observe-callers")
    after = parse_output(await cli.run("flow", "show", "Sales", "-o", "json"))

    assert before["settings"]["observe_callers"] is False
    assert "Headers of calls to originals" in permitted.stdout
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "Calls to the original after its known callers were updated" in lines
    assert any(line.startswith("unknown caller, claims to be curl/8.5 1 ") for line in lines)
    assert [one["call_count"] for one in listed["observed_callers"]] == [1]
    assert withdrawn.exit_code == 0
    assert after["observed_callers"] == []
