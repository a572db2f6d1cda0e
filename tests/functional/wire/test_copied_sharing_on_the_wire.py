from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.environments.flow import SimulatedRole
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, require_retired, serve_wire_scenario
from tests.functional.wire.wire_seed import (
    COLLEAGUE,
    ORDERS,
    TRAINEE,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import APP, BUTTON, MAKER, build_definition

TEAM = "70000000-0000-4000-8000-0000000000a1"


def build_tenant_with_shared_flow(**environment: Any) -> dict[str, Any]:
    flow = build_orders_seed(
        description="What the shop sends",
        solutions=["Orders", "Default"],
        coOwners={COLLEAGUE: "CanEdit", TEAM: "CanView"},
    )
    return build_tenant_seed(
        flow,
        teams=[{"teamid": TEAM, "name": "Night shift"}],
        solutions=[{"uniquename": "Orders", "friendlyname": "Orders"}, {"uniquename": "Default"}],
        **environment,
    )


async def read_sharing(
    scenario: WireScenario,
) -> tuple[str, str, dict[str, SimulatedRole], set[str]]:
    """Return the owner, description, co-owners and solutions of the copy."""
    copy = scenario.find_flow((await scenario.read_job()).copy.id)
    return copy.owner, copy.description, copy.roles, copy.solutions


@on_both_platforms
async def test_copy_is_shared_like_its_original(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_with_shared_flow(profile=profile)
    ) as scenario:
        await scenario.order()

        await require_retired(scenario)
        assert await read_sharing(scenario) == (
            MAKER,
            "What the shop sends",
            {COLLEAGUE: SimulatedRole.CAN_EDIT, TEAM: SimulatedRole.CAN_VIEW},
            {"Orders"},
        )
        assert scenario.find_flow().roles.keys() == {COLLEAGUE, TEAM}
        assert (await scenario.read_job()).notes == ()


@on_both_platforms
async def test_copy_of_a_flow_outside_solutions_is_shared_like_its_original(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    flow = build_orders_seed(
        description="By hand", inSolution=False, coOwners={COLLEAGUE: "CanView"}
    )
    flow["definition"] = build_definition(BUTTON | {"kind": "PowerApp"})
    description = build_tenant_seed(
        flow, assumptions={"my_flows_have_rows": False}, profile=profile
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        await require_retired(scenario)
        owner, text, roles, _ = await read_sharing(scenario)
        assert (owner, text, roles) == (MAKER, "By hand", {COLLEAGUE: SimulatedRole.CAN_VIEW})
        assert "run-only users" in " ".join((await scenario.read_job()).notes)


@pytest.mark.parametrize(
    ("route", "code"),
    [
        ("dataverse.grant_access", "sharing_rejected"),
        ("dataverse.add_solution_component", "solution_rejected"),
    ],
)
async def test_rejected_sharing_blocks_the_job_until_a_retry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str, code: str
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_with_shared_flow()
    ) as scenario:
        scenario.tenant.faults.add(
            Fault(route=route, status=403, code="0x80040220", message="prvShareWorkflow")
        )
        await scenario.order()
        job = await scenario.read_job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, code)
        assert "prvShareWorkflow" in job.message

        await scenario.retry()

        await require_retired(scenario)


async def test_disabled_owner_blocks_the_job_before_a_copy_is_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    members = [
        {"id": APP, "isAdministrator": True, "mayImpersonate": True},
        {"id": MAKER, "isDisabled": True},
    ]
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_with_shared_flow(members=members)
    ) as scenario:
        await scenario.order()
        job = await scenario.read_job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "owner_unavailable")
        assert "Maker, is disabled" in job.message
        assert [flow.workflow_entity_id for flow in scenario.environment.order] == [ORDERS]

        scenario.find_flow().owner = COLLEAGUE
        scenario.find_flow().roles = {TRAINEE: SimulatedRole.CAN_VIEW}
        await scenario.retry()

        await require_retired(scenario)
        owner, _, roles, _ = await read_sharing(scenario)
        assert (owner, roles) == (COLLEAGUE, {TRAINEE: SimulatedRole.CAN_VIEW})
