import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.definitions.connection_reference import ConnectionReference
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import RemediationMode
from tests.fakes import definition_builder as define
from tests.fakes.crash import Moment, Plan
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

CONNECTOR = "/providers/Microsoft.PowerApps/apis/shared_office365"
HOUR = timedelta(hours=1)


def add_mail_flow(scenario: Scenario, *, in_solution: bool = True) -> FakeFlow:
    return scenario.build.add_flow(
        "Orders",
        define.build_http_trigger(),
        {"Send": define.build_connector_action("shared_office365", "SendEmailV2")},
        connections={"mail-1": "shared_office365"},
        in_solution=in_solution,
    )


def change_entry(flow: FakeFlow, **members: Any) -> None:
    document = json.loads(flow.client_data)
    document["properties"]["connectionReferences"]["shared_office365"] |= members
    flow.client_data = json.dumps(document)


def add_reference(scenario: Scenario, name: str, connection: str = "mail-1") -> ConnectionReference:
    row = ConnectionReference(
        reference_id=scenario.world.create_guid(),
        logical_name=name,
        connector_id=CONNECTOR.upper(),
        connection_id=connection,
        owner_id="somebody",
    )
    scenario.build.environment.connection_references[name] = row
    return row


async def run_approved(scenario: Scenario, *, run: timedelta = HOUR) -> FlowJob:
    """Run a remediation, and return the job of Orders."""
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=run)
    return await scenario.read_job("Orders")


def read_entry(scenario: Scenario, job: FlowJob) -> Any:
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    return json.loads(copy.client_data)["properties"]["connectionReferences"]["shared_office365"]


@pytest.mark.parametrize("in_solution", [True, False])
async def test_embedded_connection_gets_a_reference_of_the_owner(*, in_solution: bool) -> None:
    scenario = Scenario()
    add_mail_flow(scenario, in_solution=in_solution)

    job = await run_approved(scenario, run=timedelta(days=60))

    assert job.state is FlowJobState.RETIRED, job.history
    (row,) = scenario.build.environment.connection_references.values()
    assert (row.connector_id, row.connection_id) == (CONNECTOR, "mail-1")
    assert row.owner_id == scenario.build.owner.user_id
    assert read_entry(scenario, job)["connection"] == {
        "connectionReferenceLogicalName": row.logical_name
    }
    assert any(row.logical_name in note and "mail-1" in note for note in job.notes)


async def test_plan_names_the_connection_references_to_create() -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    scenario.build.apply_key()

    await scenario.start_remediation()

    item = (await scenario.plan())["Orders"]
    assert item.embedded_connections == ("mail-1 (shared_office365)",)
    assert "connection reference for the connection mail-1" in item.planned_changes[0]


async def test_existing_reference_of_the_owner_is_used() -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    add_reference(scenario, "cr1_other", "mail-2")
    add_reference(scenario, "cr1_first")
    mine = add_reference(scenario, "cr1_mine")
    mine = replace(mine, owner_id=scenario.build.owner.user_id)
    scenario.build.environment.connection_references["cr1_mine"] = mine

    job = await run_approved(scenario)

    assert read_entry(scenario, job)["connection"] == {"connectionReferenceLogicalName": "cr1_mine"}
    assert len(scenario.build.environment.connection_references) == 3
    assert job.notes == ()


async def test_flow_with_references_is_copied_exactly() -> None:
    scenario = Scenario()
    orders = add_mail_flow(scenario)
    add_reference(scenario, "cr1_mail")
    change_entry(orders, connection={"connectionReferenceLogicalName": "cr1_mail"})

    job = await run_approved(scenario)

    copy = scenario.world.get_workflow(orders.environment_id, job.copy.id)
    assert copy.client_data == orders.client_data
    assert copy.is_on


async def test_connection_of_the_invoker_gets_an_unbound_reference() -> None:
    scenario = Scenario()
    orders = add_mail_flow(scenario)
    change_entry(orders, runtimeSource="invoker")

    job = await run_approved(scenario)

    (row,) = scenario.build.environment.connection_references.values()
    assert row.connection_id == ""
    entry = read_entry(scenario, job)
    assert entry["runtimeSource"] == "invoker"
    assert entry["connection"] == {"connectionReferenceLogicalName": row.logical_name}


@pytest.mark.parametrize("in_solution", [True, False])
@pytest.mark.parametrize("is_disabled", [True, False])
async def test_no_reference_is_created_if_the_owner_is_unavailable(
    *, is_disabled: bool, in_solution: bool
) -> None:
    scenario = Scenario()
    add_mail_flow(scenario, in_solution=in_solution)
    scenario.build.share_connections()
    scenario.world.may_act_on_behalf = is_disabled
    scenario.build.owner.is_disabled = is_disabled

    job = await run_approved(scenario)

    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "owner_unavailable")
    assert "Contoso maker" in job.message
    assert scenario.world.writes == []

    scenario.world.may_act_on_behalf, scenario.build.owner.is_disabled = True, False
    await scenario.retry()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_app_creates_the_reference_if_the_owner_may_not_use_the_connection() -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    scenario.build.share_connections()
    connection = scenario.build.environment.connections["mail-1"]
    connection.owner_id = scenario.world.add_user("Colleague").user_id

    await run_approved(scenario)

    (row,) = scenario.build.environment.connection_references.values()
    assert row.owner_id == scenario.world.application.user_id


async def test_inaccessible_connection_blocks_the_job_with_name_and_owner() -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    colleague = scenario.world.add_user("Colleague")
    scenario.build.environment.connections["mail-1"].owner_id = colleague.user_id

    job = await run_approved(scenario)

    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "ConnectionAuthorizationFailed")
    assert "mail-1 (shared_office365) of Colleague" in job.message
    assert job.fix.startswith("Ask Colleague to share the connection with the app")
    assert scenario.build.environment.connection_references == {}
    assert job.notes == ()

    scenario.build.share_connections()
    await scenario.retry()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_custom_connector_needs_an_existing_reference() -> None:
    scenario = Scenario()
    orders = add_mail_flow(scenario)
    api = {"name": "shared_office365", "logicalName": "new_5Foffice365"}
    change_entry(orders, api=api)

    job = await run_approved(scenario)

    (finding,) = (await scenario.read_environment_job()).findings
    assert finding.startswith("Orders embeds the connection mail-1")
    assert not any(
        "connection reference" in text for text in (await scenario.plan())["Orders"].planned_changes
    )
    assert (job.state, job.reason_code) == (
        FlowJobState.BLOCKED,
        "custom_connector_reference_missing",
    )
    assert "mail-1" in job.fix

    add_reference(scenario, "new_mail")
    await scenario.retry()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.history
    assert read_entry(scenario, job)["connection"] == {"connectionReferenceLogicalName": "new_mail"}


async def test_changed_reference_of_the_app_blocks_the_job() -> None:
    scenario = Scenario()
    orders = add_mail_flow(scenario)
    await run_approved(scenario, run=timedelta(days=60))
    (name,) = scenario.build.environment.connection_references
    kept = scenario.build.environment.connection_references[name]
    scenario.build.add_connection("mail-2", "shared_office365", owner=scenario.build.owner)
    await scenario.roll_back()
    scenario.build.environment.connection_references[name] = replace(kept, connection_id="mail-2")

    await scenario.order(RemediationMode.APPLY, orders.workflow_id, cause="order-2")
    await scenario.approve(run=HOUR)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "connection_reference_mismatch")


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, 12))
async def test_killed_process_creates_one_reference(at: int, moment: Moment) -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.COPYING)
    scenario.driver.plan = Plan(at=at, moment=moment)
    scenario.renew()

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert scenario.driver.plan.has_struck
    assert job.state is FlowJobState.RETIRED, job.history
    assert len(scenario.build.environment.connection_references) == 1
    assert len(job.notes) == 1


async def test_rollback_keeps_the_reference_and_notes_it() -> None:
    scenario = Scenario()
    add_mail_flow(scenario)
    await run_approved(scenario, run=timedelta(days=60))

    await scenario.roll_back()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, job.history
    (name,) = scenario.build.environment.connection_references
    assert any(name in note and "stays" in note for note in job.notes)
