from datetime import timedelta

from shared.domain.environment import ApprovalPolicy
from shared.domain.ids import hash_key
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.leases import ResourceLease
from shared.domain.plans.remediation import RemediationMode
from shared.errors import PlatformError
from shared.use_cases import change_remediation
from tests.fakes.builder import Builder
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

HOUR = timedelta(hours=1)


async def test_setting_that_a_deployment_restores_is_updated_again() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old = scenario.build.get_trigger_url(orders)
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(days=3))
    site.settings["FLOW_URL"] = old

    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert site.settings["FLOW_URL"] != old
    assert_nothing_lost(scenario)


async def test_rollback_restores_a_caller_that_was_updated_twice() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old = scenario.build.get_trigger_url(orders)
    site.settings["FLOW_URL"] = f"{old};{old}"
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    await scenario.approve(run=timedelta(days=3))
    new = site.settings["FLOW_URL"].split(";")[0]
    site.settings["FLOW_URL"] = f"{old};{new}"
    await scenario.run(timedelta(days=60))

    await scenario.roll_back()

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert find_differences(before, scenario.world) == []


async def test_app_with_several_settings_for_one_flow_restarts_once() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    scenario.build.add_app_setting_caller(orders, setting="ALSO")
    url = scenario.build.get_trigger_url(orders)
    site.settings["TWICE"] = f"{url} {url}&from=shop"
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    await scenario.approve(run=timedelta(days=3))
    restarts, new = site.restarts, site.settings["FLOW_URL"]
    assert_nothing_lost(scenario)

    await scenario.roll_back()

    assert restarts == 1
    assert new not in site.settings.values()
    assert find_differences(before, scenario.world) == []


async def test_caller_found_by_a_later_search_is_updated() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(days=2))
    site = scenario.build.add_app_setting_caller(orders, site="late")
    old = site.settings["FLOW_URL"]
    await scenario.order(RemediationMode.ASSESS, cause="sweep")

    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert site.settings["FLOW_URL"] != old
    assert_nothing_lost(scenario)


async def test_remediation_after_a_rollback_updates_callers_again() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old = scenario.build.get_trigger_url(orders)
    await plan_remediation(scenario)
    await scenario.approve()
    await scenario.roll_back()
    assert site.settings["FLOW_URL"] == old

    await scenario.order(RemediationMode.APPLY, orders.workflow_id, cause="again")
    await scenario.approve()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert site.settings["FLOW_URL"] != old
    assert_nothing_lost(scenario)


async def test_caller_in_a_read_only_environment_is_a_manual_caller() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    other = Builder(scenario.world, name="Other")
    caller = other.add_flow_caller(orders, name="Elsewhere")
    before = caller.client_data
    await plan_remediation(scenario)

    await scenario.approve()
    blocked = await scenario.read_job("Orders")
    untouched = caller.client_data == before
    await scenario.set_approval_policy(ApprovalPolicy.AUTOMATIC, other.environment.id)
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "Elsewhere" in blocked.message
    assert blocked.notes == ("A person has to change: flow Elsewhere.",)
    assert untouched
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert caller.client_data != before
    assert_nothing_lost(scenario)


async def test_rollback_does_not_write_a_caller_in_a_read_only_environment() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    other = Builder(scenario.world, name="Other")
    caller = other.add_flow_caller(orders, name="Elsewhere")
    await scenario.set_approval_policy(ApprovalPolicy.AUTOMATIC, other.environment.id)
    before = caller.client_data
    await plan_remediation(scenario)
    await scenario.approve()
    moved = caller.client_data
    await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY, other.environment.id)

    await scenario.roll_back()

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "environment_read_only")
    assert moved != before
    assert caller.client_data == moved


async def test_excluded_flow_is_a_manual_caller() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    caller = scenario.build.add_flow_caller(orders)
    before = caller.client_data
    await plan_remediation(scenario, excluded_flows=frozenset({caller.workflow_id}))

    await scenario.approve()
    blocked = await scenario.read_job("Orders")
    untouched = caller.client_data == before
    new = scenario.build.get_trigger_url(
        scenario.world.get_workflow(orders.environment_id, blocked.copy.id)
    )
    caller.client_data = before.replace(scenario.build.get_trigger_url(orders), new)
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert untouched
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert_nothing_lost(scenario)


async def test_caller_edited_before_the_write_keeps_its_edit() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    caller = scenario.build.add_flow_caller(orders)
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.UPDATING_CALLERS)

    async def edit() -> None:
        caller.client_data = caller.client_data.replace('"number": 1', '"number": 2')
        caller.version += 1

    disturb(scenario, "workflows", "update", edit)
    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert '"number": 2' in caller.client_data
    assert_nothing_lost(scenario)


async def test_job_names_a_caller_whose_save_the_platform_rejects() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    caller = scenario.build.add_flow_caller(orders)
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.UPDATING_CALLERS)

    code = "WorkflowRunActionInputsInvalidProperty"

    async def reject_save() -> None:
        raise PlatformError("no 'authentication'", code=code, status=400)

    disturb(scenario, "workflows", "update", reject_save)
    await scenario.run(timedelta(hours=1))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, code)
    assert caller.name in job.message
    assert caller.name in job.fix
    await scenario.retry()
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert_nothing_lost(scenario)


async def test_jobs_that_write_one_app_lose_no_setting() -> None:
    scenario = Scenario()
    site = None
    for name in ("A", "B"):
        site = scenario.build.add_app_setting_caller(
            scenario.build.add_http_flow(name), setting=name
        )
    assert site is not None
    site.settings["OTHER"] = "stays"
    old = dict(site.settings)
    await plan_remediation(scenario)

    await scenario.approve()

    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    assert site.settings["OTHER"] == "stays"
    assert all(site.settings[name] != old[name] for name in ("A", "B"))
    assert_nothing_lost(scenario)


async def test_job_waits_for_the_lease_of_an_app_without_a_grant() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.UPDATING_CALLERS)
    (record,) = await scenario.services.tables.callers.read_all(
        (await scenario.read_job("Orders")).id
    )
    now, resource = scenario.services.now, hash_key(record.caller.resource_id)
    lease = ResourceLease(id=resource, holder="another", leased_until=now + timedelta(seconds=90))
    kept = await scenario.services.tables.resource_leases.insert(lease)
    before = len(scenario.world.writes)

    await scenario.run(timedelta(seconds=20))
    waiting, written = await scenario.read_job("Orders"), scenario.world.writes[before:]
    await scenario.services.tables.resource_leases.delete(kept)
    await scenario.run(timedelta(seconds=20))

    assert waiting.state is FlowJobState.WAITING
    assert written == []  # the operator is made no co-owner to read a URL that has to wait
    assert (await scenario.read_job("Orders")).step is FlowJobState.CHECKING_FOR_CALLS
    assert site.settings["FLOW_URL"] != scenario.build.get_trigger_url(orders)
    assert_nothing_lost(scenario)


async def test_value_and_default_of_a_variable_are_updated_and_its_flows_saved() -> None:
    """A flow reads the new value of a variable only when it is saved."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    variable, reader = scenario.build.add_variable_caller(orders)
    variable.default_value = old = scenario.build.get_trigger_url(orders)
    await plan_remediation(scenario)

    await scenario.approve()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert old not in {variable.value, variable.default_value}
    assert old not in reader.variables.values()
    assert_nothing_lost(scenario)


async def test_rollback_during_the_caller_update_keeps_the_copy_on() -> None:
    """A caller may already have read the URL of the copy."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_secret_caller(orders, name="first")
    scenario.build.add_secret_caller(orders, name="second")
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.UPDATING_CALLERS)

    async def request_rollback() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    disturb(scenario, "secrets", "write", request_rollback, after=True)
    await scenario.run(HOUR)

    job = await scenario.read_job("Orders")
    assert job.step is FlowJobState.ROLLING_BACK
    assert scenario.world.get_workflow(orders.environment_id, job.copy.id).is_on
