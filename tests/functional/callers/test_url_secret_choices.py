from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import UrlSecretUse
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem
from shared.errors import FlowNotFound, InvalidInput, JobBlocked
from shared.jobs.job_kinds import ENVIRONMENT
from shared.jobs.leased_job import LeasedJob
from shared.use_cases import approve_plan
from shared.use_cases import choose_url_secrets as use_case
from shared.use_cases.approve_plan import ApprovalInput, approve_plans
from shared.use_cases.choose_url_secrets import ChosenUrlSecrets, choose_url_secrets
from shared.use_cases.show_remediation import show_plan
from tests.fakes.tenant import FakeFlow, FakeSite
from tests.functional.callers.test_url_secrets import (
    VAULT,
    build_scenario,
    format_reference,
    format_secret_name,
)
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation


async def choose_for_flows(scenario: Scenario, use: UrlSecretUse, *flows: str) -> ChosenUrlSecrets:
    return await choose_url_secrets(scenario.services, scenario.remediation.id, flows, use)


async def read_shown_plan(scenario: Scenario) -> tuple[str, dict[str, PlanItem]]:
    (plan,) = await show_plan(scenario.services, scenario.remediation.id)
    return plan.version, {item.display_name: item for item in plan.items}


def add_flow(scenario: Scenario) -> tuple[FakeFlow, FakeSite]:
    flow = scenario.build.add_http_flow("Returns")
    site = scenario.build.add_app_setting_caller(flow, site="app-returns")
    scenario.build.add_url_vault(site)
    return flow, site


async def test_choice_replaces_the_setting_of_the_environment_for_one_flow() -> None:
    scenario, flow, (site,) = build_scenario(1)
    _, other = add_flow(scenario)
    before = dict(site.settings)
    await plan_remediation(scenario, has_url_secrets=False)
    version, items = await read_shown_plan(scenario)

    chosen = await choose_for_flows(scenario, UrlSecretUse.VERIFIED_CALLERS, "Orders")
    changed_version, changed = await read_shown_plan(scenario)
    await scenario.approve()
    moved, held = site.settings["FLOW_URL"], other.settings["FLOW_URL"]
    await scenario.roll_back()

    assert items["Orders"].url_secret == ""
    assert chosen == ChosenUrlSecrets(flow_count=1, versions=(changed_version,))
    assert changed_version != version
    assert changed["Returns"] == items["Returns"]
    assert any(format_secret_name(flow) in one for one in changed["Orders"].planned_changes)
    assert moved == format_reference(flow)
    assert "Microsoft.KeyVault" not in held
    assert site.settings == before
    assert_nothing_lost(scenario)


async def test_callers_of_a_flow_hold_the_url_by_choice() -> None:
    scenario, flow, (site,) = build_scenario(1)
    returns, other = add_flow(scenario)
    await plan_remediation(scenario)

    await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")
    item = (await read_shown_plan(scenario))[1]["Orders"]
    await scenario.approve()

    assert [one.by_value_reason for one in item.callers] == [None]
    assert not any("secret" in one for one in item.planned_changes)
    assert "Microsoft.KeyVault" not in site.settings["FLOW_URL"]
    assert (VAULT, format_secret_name(flow)) not in scenario.world.secrets
    assert other.settings["FLOW_URL"] == format_reference(returns)
    assert_nothing_lost(scenario)


async def test_second_choice_restores_the_plan() -> None:
    scenario, _, _ = build_scenario(1)
    await plan_remediation(scenario)
    before = await read_shown_plan(scenario)

    await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")
    without = await read_shown_plan(scenario)
    await choose_for_flows(scenario, UrlSecretUse.VERIFIED_CALLERS, "Orders")

    assert without[0] != before[0]
    assert await read_shown_plan(scenario) == before


async def test_version_from_before_a_choice_cannot_be_approved() -> None:
    """A choice changes the plan, which the approver has to read again."""
    scenario, _, (site,) = build_scenario(1)
    await plan_remediation(scenario)
    version, _ = await read_shown_plan(scenario)
    await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")
    approval = ApprovalInput(versions=(version,), approved_by="tests")

    with pytest.raises(JobBlocked) as rejected:
        await approve_plans(scenario.services, scenario.remediation.id, approval)

    assert rejected.value.code == "plan_changed"
    assert site.restarts == 0


async def test_choice_applies_after_the_setting_has_changed() -> None:
    scenario, flow, (site,) = build_scenario(1)
    await plan_remediation(scenario)
    await choose_for_flows(scenario, UrlSecretUse.VERIFIED_CALLERS, "Orders")
    await scenario.approve(run=timedelta(0))

    await scenario.opt_in(has_url_secrets=False)
    await scenario.run(timedelta(days=60))

    assert site.settings["FLOW_URL"] == format_reference(flow)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_flow_without_a_choice_is_named() -> None:
    scenario, _, _ = build_scenario(1)
    scenario.build.add_http_flow("Nobody calls")
    await plan_remediation(scenario)

    for flow in ("Unknown", "Nobody calls"):
        with pytest.raises(FlowNotFound, match=flow):
            await choose_for_flows(scenario, UrlSecretUse.NONE, flow)
    await scenario.approve()
    with pytest.raises(JobBlocked) as nothing:
        await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")

    assert nothing.value.code == "nothing_to_approve"


async def test_number_of_choices_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row stores a limited number of choices."""
    scenario, _, _ = build_scenario(1)
    await plan_remediation(scenario)
    before = await read_shown_plan(scenario)
    monkeypatch.setattr(use_case, "MOST_CHOICES", 0)

    with pytest.raises(InvalidInput, match="setting of the environment"):
        await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")

    assert await read_shown_plan(scenario) == before


async def test_choice_during_an_approval_rejects_the_approval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A choice changes the row that an approval replaces."""
    scenario, _, _ = build_scenario(1)
    await plan_remediation(scenario)
    version, _ = await read_shown_plan(scenario)
    approve_one = approve_plan._approve_one_plan

    async def choose_first(*given: Any) -> object:
        monkeypatch.setattr(approve_plan, "_approve_one_plan", approve_one)
        await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")
        return await approve_one(*given)

    monkeypatch.setattr(approve_plan, "_approve_one_plan", choose_first)
    approval = ApprovalInput(versions=(version,), approved_by="tests")

    with pytest.raises(JobBlocked) as rejected:
        await approve_plans(scenario.services, scenario.remediation.id, approval)

    assert rejected.value.code == "plan_changed"
    assert (await read_shown_plan(scenario))[1]["Orders"].url_secret == ""


async def test_invocation_that_runs_meanwhile_keeps_the_choice() -> None:
    scenario, _, _ = build_scenario(1)
    await plan_remediation(scenario)
    services, job = scenario.services, await scenario.read_environment_job()
    kept = await services.tables.environment_jobs.get(
        *services.tables.environment_jobs.get_address(job)
    )
    assert kept
    held = LeasedJob(ENVIRONMENT, services, kept)

    await choose_for_flows(scenario, UrlSecretUse.NONE, "Orders")
    await held.save(replace(held.job, message="It runs."))

    (plan,) = await show_plan(services, scenario.remediation.id)
    assert plan.environment_job.message == "It runs."
    assert plan.items[0].url_secret_use is UrlSecretUse.NONE
