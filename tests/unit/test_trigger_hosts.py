from dataclasses import replace

import pytest

from shared.domain.clouds import PUBLIC
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.trigger_hosts import list_trigger_hosts
from tests.unit.flow_rows import FLOW_JOB

ENVIRONMENT = "Default-6f1c0000-0000-4000-8000-000000000077"
EXPECTED = "default6f1c00000000400080000000000000.77.environment.api.powerplatform.com"
ITEM = PlanItem(
    environment_job_id="plan",
    workflow_id="orders",
    flow_name="name",
    display_name="Orders",
    category="http",
    trigger_name="manual",
    has_trigger_url=True,
    in_solution=True,
    migration_method=MigrationMethod.UPDATE_CALLERS,
    is_on=True,
    microsoft_key_reasons=("http",),
    action=PlannedAction.COPY,
    message="",
    callers=(PlannedCaller(kind="app_setting", label="setting ORDERS_URL of shop"),),
)
JOB = replace(
    FLOW_JOB,
    environment_id=ENVIRONMENT,
    original=replace(FLOW_JOB.original, id="orders", flow_name="name"),
)


def test_trigger_host_is_derived_from_the_environment_id() -> None:
    """The last two characters of the id are a separate part of the host."""
    assert PUBLIC.derive_environment_host(ENVIRONMENT) == EXPECTED


def test_trigger_host_is_expected_until_a_copy_confirms_it() -> None:
    other = replace(JOB, copy=replace(JOB.copy, host="prod-7.westeurope.logic.azure.com"))

    [expected] = list_trigger_hosts(EXPECTED, [ITEM], {"orders": JOB})
    [confirmed] = list_trigger_hosts(
        EXPECTED, [ITEM], {"orders": replace(JOB, copy=replace(JOB.copy, host=EXPECTED))}
    )
    [different] = list_trigger_hosts(EXPECTED, [ITEM], {"orders": other})

    assert (expected.host, expected.is_confirmed) == (EXPECTED, False)
    assert (confirmed.host, confirmed.is_confirmed) == (EXPECTED, True)
    assert (different.host, different.is_confirmed) == ("prod-7.westeurope.logic.azure.com", True)
    [flow] = expected.flows
    assert (flow.display_name, flow.callers) == ("Orders", ("setting ORDERS_URL of shop",))


@pytest.mark.parametrize(
    "item",
    [
        replace(ITEM, has_trigger_url=False),
        replace(ITEM, action=PlannedAction.NO_CHANGE),
        replace(
            ITEM, action=PlannedAction.EDIT_ACTION, migration_method=MigrationMethod.EDIT_DEFINITION
        ),
    ],
)
def test_a_flow_without_a_new_url_needs_no_host(item: PlanItem) -> None:
    assert list_trigger_hosts(EXPECTED, [item], {}) == ()
