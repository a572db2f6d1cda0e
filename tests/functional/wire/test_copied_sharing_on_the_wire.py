"""A whole remediation of a flow that is shared and in a solution, over the wire."""

from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.environments.flow import SimulatedRole
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, retired, wire_scenario
from tests.functional.wire.wire_seed import COLLEAGUE, ORDERS, TRAINEE, orders, tenant_seed
from tests.local_cloud.tenant.tenant_world import APP, BUTTON, MAKER, definition

TEAM = "70000000-0000-4000-8000-0000000000a1"


def shared_orders(**environment: Any) -> dict[str, Any]:
    """Return a tenant with one flow that is shared and in a solution."""
    flow = orders(
        description="What the shop sends",
        solutions=["Orders", "Default"],
        coOwners={COLLEAGUE: "CanEdit", TEAM: "CanView"},
    )
    return tenant_seed(
        flow,
        teams=[{"teamid": TEAM, "name": "Night shift"}],
        solutions=[{"uniquename": "Orders", "friendlyname": "Orders"}, {"uniquename": "Default"}],
        **environment,
    )


async def sharing_of(scenario: WireScenario) -> tuple[str, str, dict[str, SimulatedRole], set[str]]:
    """Return owner, description, co-owners and solutions of the copy."""
    copy = scenario.flow((await scenario.job()).copy_id)
    return copy.owner, copy.description, copy.roles, copy.solutions


@on_both_platforms
async def test_a_copy_is_shared_as_its_original(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    """The copy is shared as its original, but not with the app or the service account."""
    async with wire_scenario(monkeypatch, tmp_path, shared_orders(profile=profile)) as scenario:
        await scenario.order()

        await retired(scenario)
        assert await sharing_of(scenario) == (
            MAKER,
            "What the shop sends",
            {COLLEAGUE: SimulatedRole.CAN_EDIT, TEAM: SimulatedRole.CAN_VIEW},
            {"Orders"},
        )
        assert scenario.flow().roles.keys() == {COLLEAGUE, TEAM}
        assert (await scenario.job()).notes == ()


@on_both_platforms
async def test_a_flow_outside_solutions_keeps_its_sharing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    """The co-owners are found by Entra ids, and the description in the flow service."""
    flow = orders(description="By hand", inSolution=False, coOwners={COLLEAGUE: "CanView"})
    flow["definition"] = definition(BUTTON | {"kind": "PowerApp"})
    description = tenant_seed(flow, assumptions={"my_flows_have_rows": False}, profile=profile)
    async with wire_scenario(monkeypatch, tmp_path, description) as scenario:
        await scenario.order()

        await retired(scenario)
        owner, text, roles, _ = await sharing_of(scenario)
        assert (owner, text, roles) == (MAKER, "By hand", {COLLEAGUE: SimulatedRole.CAN_VIEW})
        assert "run-only users" in " ".join((await scenario.job()).notes)


@pytest.mark.parametrize(
    ("route", "code"),
    [
        ("dataverse.grant_access", "sharing_rejected"),
        ("dataverse.add_solution_component", "solution_rejected"),
    ],
)
async def test_a_refusal_blocks_and_a_retry_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str, code: str
) -> None:
    """The original stays on until the copy is shared in a retry."""
    async with wire_scenario(monkeypatch, tmp_path, shared_orders()) as scenario:
        scenario.tenant.faults.add(
            Fault(route=route, status=403, code="0x80040220", message="prvShareWorkflow")
        )
        await scenario.order()
        job = await scenario.job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, code)
        assert "prvShareWorkflow" in job.message

        await scenario.retry()

        await retired(scenario)


async def test_a_disabled_owner_blocks_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names the owner and the fix. A retry with another owner succeeds."""
    members = [
        {"id": APP, "isAdministrator": True, "mayImpersonate": True},
        {"id": MAKER, "isDisabled": True},
    ]
    async with wire_scenario(monkeypatch, tmp_path, shared_orders(members=members)) as scenario:
        await scenario.order()
        job = await scenario.job()
        assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "owner_unavailable")
        assert "Maker, is disabled" in job.message
        assert [flow.workflow_entity_id for flow in scenario.environment.order] == [ORDERS]

        scenario.flow().owner = COLLEAGUE
        scenario.flow().roles = {TRAINEE: SimulatedRole.CAN_VIEW}
        await scenario.retry()

        await retired(scenario)
        owner, _, roles, _ = await sharing_of(scenario)
        assert (owner, roles) == (COLLEAGUE, {TRAINEE: SimulatedRole.CAN_VIEW})
