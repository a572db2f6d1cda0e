import json

from functions.remediations_api import start_remediation
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.use_cases.start_remediation import start_manual_remediation
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario

LACKING = "in the flow service, but not in Dataverse"


async def _read_findings(scenario: Scenario, *, reconcile: bool) -> str:
    order = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.ASSESS,
        start_source=StartSource.API_REQUEST,
        idempotency_key=f"order-{reconcile}",
        environment_ids=(scenario.build.environment.id,),
        compare_all_flows=reconcile,
    )
    started = await start_manual_remediation(scenario.services, order)
    await scenario.run(scenario.settings.platform_migration_poll_interval)
    (job,) = await scenario.services.tables.environment_jobs.read_all(started.id)
    assert job.state == "completed"
    assert job.compare_all_flows is reconcile
    return "\n".join(job.findings)


def _build_scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.add_polling_flow("Mine").in_solution = False
    scenario.world.assumptions.my_flows_have_rows = False
    scenario.build.apply_key()
    return scenario


async def test_flow_without_dataverse_row_is_found_only_by_a_full_comparison() -> None:
    assert LACKING not in await _read_findings(_build_scenario(), reconcile=False)
    found = await _read_findings(_build_scenario(), reconcile=True)

    assert f"1 flow is {LACKING}: Mine" in found


async def test_daily_check_does_not_compare_all_flows() -> None:
    """A full list of flows needs much of the request budget."""
    scenario = _build_scenario()
    await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY)
    order = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.ASSESS,
        start_source=StartSource.DAILY_CHECK,
        idempotency_key="2026-03-02",
        environment_ids=(scenario.build.environment.id,),
    )

    assert (await start_manual_remediation(scenario.services, order)).compare_all_flows is False


async def test_full_comparison_is_requested_over_http_and_by_the_command_line() -> None:
    scenario = _build_scenario()
    provide(scenario.services)
    order = {"mode": "assess", "environment_ids": [scenario.build.environment.id]}
    headers = {"Idempotency-Key": "monday"}

    started = await call(start_remediation, {**order, "compare_all_flows": True}, headers=headers)
    other = await call(start_remediation, order, headers=headers)
    async with serve_app() as cli:
        words = (
            "remediation",
            "start",
            scenario.build.environment.id,
            "--compare-all-flows",
            "-o",
            "json",
        )
        typed = json.loads((await cli.run(*words)).stdout)

    assert (started.status, started.document["compare_all_flows"]) == (202, True)
    assert (other.status, other.document["reason_code"]) == (409, "idempotency_key_reused")
    assert typed["compare_all_flows"] is True
