import json
from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.settings import OnOriginalEdited
from tests.fakes import definition_builder as define
from tests.fakes.invariants import watch
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    edit,
    plan_and_run_until,
    plan_remediation,
)

HOUR = timedelta(hours=1)


async def test_original_edited_before_its_copy_blocks_until_a_retry() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPYING)
    edit(orders)

    await scenario.run(HOUR)
    blocked = await scenario.read_job("Orders")
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "original_edited")
    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.history
    assert "Extra" in scenario.world.get_workflow(orders.environment_id, job.copy.id).client_data


async def test_retry_after_an_edit_reads_the_new_hosts() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPYING)
    edit(orders, define.build_http_action("https://erp.contoso.example/orders"))

    await scenario.run(HOUR)
    await scenario.retry(run=HOUR)

    assert (await scenario.read_job("Orders")).original.http_hosts == ("erp.contoso.example",)


async def test_original_edited_after_its_copy_blocks_the_retirement() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    edit(orders)

    await scenario.run(timedelta(days=20))
    blocked = await scenario.read_job("Orders")
    was_on = orders.is_on
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "original_edited")
    assert "/properties/definition/actions/Extra" in blocked.message
    assert was_on
    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.history
    assert "Extra" in scenario.world.get_workflow(orders.environment_id, job.copy.id).client_data


async def test_edited_original_is_copied_again_if_the_setting_permits() -> None:
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    edit(orders)

    await scenario.run(timedelta(days=40))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.history
    assert "Extra" in scenario.world.get_workflow(orders.environment_id, job.copy.id).client_data
    assert scenario.world.traffic.lost_calls == []


async def test_edit_with_a_new_connection_is_written_on_behalf_of_the_owner() -> None:
    """The owner may use the new connection."""
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    scenario.build.add_connection("mail-1", "shared_office365", owner=scenario.build.owner)
    edit(orders, define.build_connector_action("shared_office365", "SendEmailV2"))
    entry = {
        "runtimeSource": "embedded",
        "connection": {"name": "mail-1"},
        "api": {"name": "shared_office365"},
    }
    document = json.loads(orders.client_data)
    document["properties"]["connectionReferences"]["shared_office365"] = entry
    orders.client_data = json.dumps(document)

    await scenario.run(timedelta(days=40))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    copy = scenario.world.get_workflow(orders.environment_id, job.copy.id)
    assert "SendEmailV2" in copy.client_data
    assert copy.is_on


@pytest.mark.parametrize("choice", list(OnOriginalEdited))
async def test_edit_of_the_copy_is_kept_until_a_retry(choice: OnOriginalEdited) -> None:
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(update={"on_original_edited": choice})
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    copy = scenario.world.get_workflow(
        orders.environment_id, (await scenario.read_job("Orders")).copy.id
    )
    edit(copy, {"type": "Compose", "inputs": "mended"})
    edit(orders)

    await scenario.run(timedelta(days=20))
    if choice is OnOriginalEdited.BLOCK:
        await scenario.retry()
    blocked = await scenario.read_job("Orders")
    text = copy.client_data
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (
        FlowJobState.BLOCKED,
        "original_and_copy_edited",
    )
    assert "mended" in text
    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert "mended" not in copy.client_data
    assert "Extra" in copy.client_data


async def test_edited_self_starting_flow_blocks_the_cutover() -> None:
    scenario = Scenario()
    keyword = scenario.build.add_keyword_flow("Keyword")
    await plan_remediation(scenario)
    watch(scenario.world)
    await scenario.approve_and_run_until("Keyword", FlowJobState.VERIFIED)
    edit(keyword)

    await scenario.run(HOUR)
    blocked = await scenario.read_job("Keyword")
    was_on = keyword.is_on
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "original_edited")
    assert was_on
    job = await scenario.read_job("Keyword")
    assert job.state is FlowJobState.RETIRED, job.history
    assert "Extra" in scenario.world.get_workflow(keyword.environment_id, job.copy.id).client_data
    assert scenario.world.violations == []


async def test_edited_original_after_a_cutover_needs_a_person() -> None:
    scenario = Scenario()
    keyword = scenario.build.add_keyword_flow("Keyword")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    edit(keyword)

    await scenario.run(timedelta(days=3))
    blocked = await scenario.read_job("Keyword")
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "original_edited")
    assert "in the copy too" in blocked.fix
    assert (await scenario.read_job("Keyword")).state is FlowJobState.RETIRED


async def test_copy_edited_before_its_verification_blocks_the_job() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old_url = scenario.build.get_trigger_url(orders)
    job = await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    edit(scenario.world.get_workflow(orders.environment_id, job.copy.id))

    await scenario.run(timedelta(days=1))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "copy_changed")
    assert site.settings["FLOW_URL"] == old_url
