import json

import pytest

from shared.domain.flow import FlowState
from shared.domain.sharing import USERS, DataversePrincipal, Share, list_rights
from shared.errors import NotFound, PlatformError
from tests.contract.ports.described_tenant import GROUP, OPERATOR
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    build_definition,
)


@pytest.fixture(autouse=True)
async def sign_in(side: Side) -> None:
    await side.hands.sign_in()


async def read_roles(side: Side, flow_name: str) -> dict[str, str]:
    held = await side.ports.flow_access.read_permissions(ENVIRONMENT, flow_name)
    return {one.principal_id: one.role for one in held}


async def test_service_account_becomes_co_owner_reads_the_url_and_is_removed(side: Side) -> None:
    access, flow = side.ports.flow_access, (ENVIRONMENT, HTTP_FLOW)
    with pytest.raises(PlatformError, match="NoCoOwner"):
        await access.read_trigger_url(*flow, "manual")

    assert await access.grant(*flow)
    assert await access.grant(*flow)
    url = await access.read_trigger_url(*flow, "manual")
    held = await read_roles(side, HTTP_FLOW)
    await access.revoke(*flow)
    await access.revoke(*flow)

    assert url == await side.hands.read_trigger_url(HTTP_FLOW)
    assert await access.read_account_id() == OPERATOR
    assert held == {MAKER: "Owner", OPERATOR: "CanEdit"}
    assert await read_roles(side, HTTP_FLOW) == {MAKER: "Owner"}


@pytest.mark.parametrize("is_heard", [True, False])
async def test_share_alone_may_not_allow_the_service_account_to_read_the_url(
    side: Side, *, is_heard: bool
) -> None:
    """No source says whether a share in Dataverse is sufficient, so the test tries both
    assumptions.
    """
    side.hands.assumptions.shares_let_people_ask = is_heard
    access, flow = side.ports.flow_access, (ENVIRONMENT, HTTP_FLOW)
    operator = DataversePrincipal(table=USERS, id=side.hands.find_user_id(OPERATOR))
    share = Share(principal=operator, rights=list_rights("CanEdit"))

    await side.ports.flow_sharing.grant(await side.read_environment(), HTTP_FLOW, share)
    try:
        url = await access.read_trigger_url(*flow, "manual")
    except PlatformError as err:
        url = err.code
    await access.grant(*flow)

    asked = await access.read_trigger_url(*flow, "manual")
    assert url == (asked if is_heard else "NoCoOwner")
    await access.revoke(*flow)
    assert await side.ports.flow_sharing.list(await side.read_environment(), HTTP_FLOW) == []


async def test_read_of_a_missing_trigger_url_raises_an_error(side: Side) -> None:
    access = side.ports.flow_access
    await access.grant(ENVIRONMENT, BUTTON_FLOW)
    await access.grant(ENVIRONMENT, HTTP_FLOW)

    with pytest.raises(PlatformError, match="ListCallbackUrlOperationBlocked"):
        await access.read_trigger_url(ENVIRONMENT, BUTTON_FLOW, "manual")
    with pytest.raises(NotFound):
        await access.read_trigger_url(ENVIRONMENT, HTTP_FLOW, "other")


async def test_service_account_reads_the_definition_of_flows_it_co_owns(side: Side) -> None:
    side.hands.assumptions.definitions_hidden_from_administrators = True
    access, flow = side.ports.flow_access, (ENVIRONMENT, HTTP_FLOW)
    lean = await side.ports.flow_reports.get_flow(*flow)
    with pytest.raises(PlatformError, match="NoCoOwner"):
        await access.read_definition(*flow)

    await access.grant(*flow)
    whole = await access.read_definition(*flow)

    assert lean.client_data is None
    assert (whole.display_name, whole.state) == (lean.display_name, lean.state)
    given = json.loads(whole.client_data or "")["properties"]
    assert given == {"connectionReferences": {}, "definition": build_definition(HTTP)}


async def test_service_account_can_start_flows_that_an_application_cannot(side: Side) -> None:
    side.hands.assumptions.applications_activate = False
    access, switch = side.ports.flow_access, side.ports.flow_switch
    flow = (ENVIRONMENT, BUTTON_FLOW)
    await switch.stop(*flow)
    with pytest.raises(PlatformError, match="MissingUserDetails"):
        await switch.start(*flow)
    with pytest.raises(PlatformError, match="NoCoOwner"):
        await access.start(*flow)

    await access.grant(*flow)
    for _ in range(2):
        await access.start(*flow)

    assert (await side.ports.flow_reports.get_flow(*flow)).state is FlowState.ON


async def test_renew_sign_in_keeps_the_service_account_signed_in(side: Side) -> None:
    access = side.ports.flow_access
    before = await access.read_account_id()

    assert await access.renew_sign_in()

    assert await access.read_account_id() == before


async def test_permissions_distinguish_users_and_groups(side: Side) -> None:
    held = await side.ports.flow_access.read_permissions(ENVIRONMENT, BUTTON_FLOW)

    assert {(one.principal_id, one.role, one.is_group) for one in held} == {
        (MAKER, "Owner", False),
        (ADMIN, "CanEdit", False),
        (GROUP, "CanView", True),
    }
