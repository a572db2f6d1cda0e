from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.platform_errors import DENIED_BY_POLICY, SCOPE_LOCKED
from shared.errors import PlatformError
from shared.steps.flows.missing_permission import is_permission_missing
from tests.functional.callers.called_tenant import Tenant
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation
from tests.kinds.cases import MOVED_KINDS, load_caller_case

GROUP = "/subscriptions/s/resourceGroups/rg"
ASSIGNMENT = f"{GROUP}/providers/Microsoft.Authorization/policyAssignments/no-writes"
DENIALS = {
    SCOPE_LOCKED: PlatformError(
        f"The following scope(s) are locked: '{GROUP}'.", code=SCOPE_LOCKED, status=409
    ),
    DENIED_BY_POLICY: PlatformError(
        f"disallowed by policy. Policy assignments: '{ASSIGNMENT}'.",
        code=DENIED_BY_POLICY,
        status=403,
    ),
}
NAMES = {
    SCOPE_LOCKED: f"read-only lock frozen at {GROUP}".lower(),
    DENIED_BY_POLICY: f"policy {ASSIGNMENT}".lower(),
}


async def find_azure_kinds() -> list[str]:
    """Return the kinds of callers that are Azure resources and that the app can write."""
    tenant = Tenant()
    found = []
    for kind in MOVED_KINDS:
        load_caller_case(kind).add(tenant.builder, tenant.original)
        [caller] = await tenant.list_found_callers(kind)
        found += [kind] if caller.address.startswith("/subscriptions/") else []
    return found


@pytest.mark.parametrize("kind", MOVED_KINDS)
async def test_missing_permission_is_named_with_its_scope(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario()
    load_caller_case(kind).add(scenario.build, scenario.build.add_http_flow("Orders"))
    await plan_remediation(scenario)

    async def reject(*_: object, **__: object) -> None:
        raise PlatformError("no role", code="Forbidden", status=403)

    writer = type(scenario.services.callers[kind])
    with monkeypatch.context() as patch:
        for name in {"write", "write_all"} & {*dir(writer)}:
            patch.setattr(writer, name, reject)
        await scenario.approve(run=timedelta(hours=1))
    blocked = await scenario.read_job("Orders")

    needs = scenario.services.callers[kind].required_permissions
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "Forbidden"), blocked
    assert "The app may not change the " in blocked.message
    assert needs.fix in blocked.fix
    assert ("Flow remediation: " in blocked.fix) is bool(needs.role)
    assert ("resource group" in blocked.fix or "/resourceGroups/" in blocked.fix) is bool(
        needs.resource_type
    )


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("Forbidden", "Client address is not authorized and caller is not a trusted service."),
        ("Forbidden", "Public network access is disabled and request is not from ..."),
        ("ClientIpAddressNotAuthorized", "Client Ip address : 192.0.2.1"),
        ("Http403", "Your organization has an IP allow list enabled."),
        ("ReadOnlyDisabledSubscription", "The subscription is disabled."),
    ],
)
def test_denial_that_no_role_ends_is_no_missing_permission(code: str, detail: str) -> None:
    assert not is_permission_missing(PlatformError(detail, code=code, status=403))


def test_missing_role_for_a_firewall_is_a_missing_permission() -> None:
    """The word firewall in an action's name does not mean that an address was denied."""
    text = "The client does not have authorization to perform action '.../azureFirewalls/write'."
    assert is_permission_missing(PlatformError(text, code="AuthorizationFailed", status=403))


@pytest.mark.parametrize("code", DENIALS)
async def test_denied_write_blocks_the_job_with_the_cause_until_it_is_removed(code: str) -> None:
    for kind in await find_azure_kinds():
        scenario = Scenario()
        flow = scenario.build.add_http_flow("Orders")
        load_caller_case(kind).add(scenario.build, flow)
        scenario.world.resources["lock"] = {
            "id": f"{GROUP}/providers/Microsoft.Authorization/locks/frozen",
            "name": "frozen",
            "type": "Microsoft.Authorization/locks",
            "properties": {"level": "ReadOnly"},
        }
        await plan_remediation(scenario)
        scenario.world.denial = DENIALS[code]

        await scenario.approve(run=timedelta(hours=1))
        blocked = await scenario.read_job("Orders")
        scenario.world.denial = None
        await scenario.retry()
        retired = await scenario.read_job("Orders")
        scenario.world.denial = DENIALS[code]
        await scenario.roll_back(run=timedelta(hours=1))
        kept = await scenario.read_job("Orders")
        scenario.world.denial = None
        await scenario.retry()

        assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, code), (kind, blocked)
        assert NAMES[code] in blocked.fix.lower(), kind
        assert NAMES[code] in blocked.message.lower(), kind
        assert retired.state is FlowJobState.RETIRED, kind
        assert (kept.state, kept.reason_code) == (FlowJobState.BLOCKED, code), (kind, kept)
        assert NAMES[code] in kept.fix.lower(), kind
        assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK, kind
        assert_nothing_lost(scenario)
