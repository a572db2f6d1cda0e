from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.flow import SimulatedFlowState
from local_cloud.tenant.flows.lifecycle import delete, turn_on
from local_cloud.tenant.power_platform import environments as admin_api
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.platform_errors import find_error_fix
from shared.use_cases.check_health import check_health
from tests.functional.wire.wire_scenario import (
    SHORT,
    require_blocked,
    require_retired,
    serve_wire_scenario,
)
from tests.functional.wire.wire_seed import (
    CHILD,
    COLLEAGUE,
    OPERATOR,
    ORDERS,
    build_flow_seed,
    build_mail_seed,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import (
    APP,
    BUTTON,
    DAILY,
    ENVIRONMENT,
    HTTP,
    MAKER,
    POLICY_ID,
    build_child_action,
    build_definition,
    build_references,
)


async def test_activation_without_effect_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    description = build_tenant_seed(
        build_orders_seed(), assumptions={"activations_that_do_not_stick": 1}
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        await require_retired(scenario)


@pytest.mark.parametrize("is_told", [True, False])
async def test_flow_is_copied_although_the_global_host_rejects_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_told: bool
) -> None:
    if not is_told:
        monkeypatch.setattr(admin_api, "list_runtime_endpoints", lambda _: {})
    description = build_tenant_seed(
        build_orders_seed(), assumptions={"global_flow_host_refuses": ["europe"]}
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        await require_retired(scenario)


async def test_repeated_activations_without_effect_block_the_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    description = build_tenant_seed(
        build_orders_seed(), assumptions={"activations_that_do_not_stick": 9999}
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order(run=SHORT)
        scenario.assumptions.activations_that_do_not_stick = 0

        job = await scenario.read_job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "flow_state_not_changed")
        assert "Take orders on, but it is off" in job.message
        assert "turn the flow on. Then retry" in job.fix
        await scenario.retry()
        await require_retired(scenario)


async def test_copy_whose_flow_name_changes_on_activation_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The app finds the flow by its Dataverse id, which stays the same."""
    description = build_tenant_seed(
        build_orders_seed(), assumptions={"activation_changes_flow_name": True}
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        job = await scenario.read_job()
        assert job.copy.flow_name != job.copy.id
        await require_retired(scenario)


async def test_child_that_was_never_on_blocks_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = build_flow_seed(CHILD, "Book", build_definition(BUTTON), state="Stopped", heldBack=True)
    parent = build_flow_seed(
        ORDERS, "Take orders", build_definition(HTTP, build_child_action(CHILD))
    )
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(child, parent)
    ) as scenario:
        await scenario.order(run=SHORT)

        await require_blocked(scenario, "ChildFlowNeverPublished", "Child flow: Book (CMK).")
        copy = scenario.find_flow((await scenario.read_job(CHILD)).copy.id)
        turn_on(scenario.tenant, scenario.environment, copy, MAKER)
        await scenario.retry()
        await require_retired(scenario)
        assert (await scenario.read_job(CHILD)).state is FlowJobState.RETIRED


async def test_failed_cutover_turns_the_original_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daily = build_flow_seed(ORDERS, "Daily mail", build_definition(DAILY), heldBack=True)
    daily["connectionReferences"] = build_references("cr1_mail")
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(daily, **build_mail_seed(COLLEAGUE))
    ) as scenario:
        await scenario.order(run=SHORT)

        job = await require_blocked(
            scenario, "ConnectionAuthorizationFailed", "mail-1", "of Colleague"
        )
        assert scenario.find_flow(job.copy.id).state == SimulatedFlowState.STOPPED
        scenario.environment.connections["mail-1"].shared_with.add(APP)
        await scenario.retry()
        await require_retired(scenario)
        assert scenario.find_flow().state == SimulatedFlowState.STOPPED


async def test_deleted_original_blocks_the_job_until_it_is_restored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        await scenario.order(run=timedelta(minutes=5))
        original = scenario.find_flow()
        delete(scenario.tenant, scenario.environment, original)

        await scenario.run(timedelta(days=9))

        job = await scenario.read_job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "original_deleted")
        assert job.message == "The original Take orders was deleted."
        assert "Restore the original in Power Automate within 21 days" in job.fix
        scenario.environment.restore_flow(original)
        await scenario.retry()
        await require_retired(scenario)


async def test_app_without_registration_blocks_the_environment_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        app = scenario.tenant.get_part(Directory).principals[APP]
        scenario.between = lambda: setattr(app, "is_admin", False)
        await scenario.order(run=SHORT)

        job = await scenario.read_environment_job()
        assert job.state is EnvironmentJobState.BLOCKED
        assert "UserMissingRequiredPermission" in job.message
        assert job.fix == find_error_fix("UserMissingRequiredPermission")
        app.is_admin = True
        await scenario.retry()
        await require_retired(scenario)


HIDDEN = {"my_flows_have_rows": False, "definitions_hidden_from_administrators": True}


async def test_hidden_flow_is_read_with_a_temporary_co_ownership(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = build_flow_seed(CHILD, "Hidden", build_definition(HTTP), inSolution=False)
    description = build_tenant_seed(build_orders_seed(), hidden, assumptions=HIDDEN)
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        await require_retired(scenario)
        await require_retired(scenario, CHILD)
        assert scenario.find_flow(CHILD).roles == {}


async def test_unreadable_flow_needs_changes_and_the_others_are_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = build_flow_seed(CHILD, "Hidden", build_definition(HTTP), inSolution=False)
    description = build_tenant_seed(build_orders_seed(), hidden, assumptions=HIDDEN)
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        del scenario.environment.users[OPERATOR]
        await scenario.order(run=SHORT)

        items = await scenario.services.tables.plan_items.read_all(
            (await scenario.read_environment_job()).id
        )
        (item,) = [one for one in items if one.workflow_id == CHILD]
        assert (item.action, item.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
        assert item.fix == find_error_fix("DefinitionNotShown")
        assert "nor to the service account" in item.message
        assert ORDERS in await scenario.read_jobs()


async def test_environment_job_waits_for_the_platform_migration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    moving = build_flow_seed(CHILD, "Daily", build_definition(DAILY))
    description = build_tenant_seed(
        build_orders_seed(), moving, policy=None, migrationSeconds=3 * 86_400
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        control = f"{scenario.server.control_url}/environments/{ENVIRONMENT}/link"
        async with scenario.session.post(control, json={"systemId": POLICY_ID}) as answer:
            assert answer.status < 300
        await scenario.order(run=timedelta(days=2))
        assert (
            await scenario.read_environment_job()
        ).state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
        assert await scenario.read_jobs() == {}

        await scenario.run(timedelta(days=40))

        assert set(await scenario.read_jobs()) == {ORDERS}
        await require_retired(scenario)


PASSING = {
    "a write that meets a migration": Fault(
        route="dataverse.patch_workflow",
        status=409,
        code="EnvironmentMigrationInProgress",
        message="A key is being applied.",
    ),
    "a save at the same time": Fault(
        route="dataverse.patch_workflow", status=409, code="Conflict", message="Being saved."
    ),
    "a row that was changed": Fault(
        route="dataverse.patch_workflow", skip=1, status=412, code="0x80060882", message="Changed."
    ),
    "a token that has expired": Fault(
        route="dataverse.patch_workflow",
        status=401,
        code="ExpiredAuthenticationToken",
        message="Expired.",
    ),
    "too many calls": Fault(
        route="flow_service.*",
        times=3,
        status=429,
        code="TooManyRequests",
        message="Rate limit is exceeded.",
        headers={"Retry-After": "60"},
    ),
    "a co-ownership that takes some minutes to arrive": Fault(
        route="flow_service.list_callback_url",
        times=7,
        status=403,
        code="ConnectionAuthorizationFailed",
        message="The caller with object id 'a' does not have permission for connection 'b' under "
        "Api 'shared_logicflows'.",
    ),
    "a service that is down": Fault(route="flow_service.*", skip=6, times=5),
    "a write without an answer": Fault(
        route="dataverse.patch_workflow", kind=FaultKind.DROP_AFTER, times=2
    ),
}


@pytest.mark.parametrize("name", PASSING)
async def test_passing_fault_never_blocks_the_job(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        scenario.tenant.faults.add(replace(PASSING[name]))

        await scenario.order()

        assert scenario.tenant.faults.is_empty
        job = await scenario.read_job()
        assert {FlowJobState.BLOCKED, FlowJobState.FAILED}.isdisjoint(
            one.state for one in job.history
        )
        await require_retired(scenario)


@pytest.mark.parametrize(
    ("service", "skip"),
    [("bap", 0), ("resource_manager", 0), ("flow_service", 4), ("dataverse", 12), ("*", 12)],
)
async def test_job_continues_after_an_outage_of_a_service(
    service: str, skip: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        pattern = service if service == "*" else f"{service}.*"
        fault = Fault(route=pattern, kind=FaultKind.DROP_BEFORE, times=None, skip=skip)
        scenario.between = lambda: scenario.tenant.faults.add(fault)

        await scenario.order(run=timedelta(hours=1))
        outages = (await check_health(scenario.services)).outages
        scenario.tenant.faults.clear()
        await scenario.run(timedelta(days=40))

        assert outages
        await require_retired(scenario)
        assert (await check_health(scenario.services)).outages == ()


async def test_job_completes_on_a_tenant_that_throttles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    description = build_tenant_seed(build_orders_seed()) | {
        "budgets": {"flow_service": {"calls": 2, "seconds": 60}}
    }
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        assert scenario.tenant.calls.throttled["flow_service"] > 0
        await require_retired(scenario)
