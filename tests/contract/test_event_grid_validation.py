from dataclasses import replace

import pytest

from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.environments.flow import SimulatedFlowState
from shared.domain.callers.caller import Caller
from shared.errors import PlatformError
from shared.ports import CallerKind
from tests.contract.adapter_world import VAULT_URL, Adapters
from tests.fakes.services import build_kinds
from tests.kinds.case import build_resource
from tests.kinds.cases import load_caller_case
from tests.local_cloud.tenant.tenant_world import HTTP_FLOW

KIND = "event_grid_subscription"
OTHER = "https://other.example/hook?key=1"
PATH = build_resource(
    "Microsoft.EventGrid/topics/eventSubscriptions", "sales", "flow", properties={}
)["id"]


async def add_subscription(app: Adapters) -> tuple[CallerKind, Caller, str]:
    url = (await app.secrets.read(VAULT_URL, "orders-url")).value  # avoid-ok: name of a secret
    await load_caller_case(KIND).add_on_the_wire(app, url)
    kind = build_kinds(app)[KIND]
    [caller] = [one async for one in kind.find([])]
    return kind, caller, url


def read_url(app: Adapters) -> str:
    resources = app.world.tenant.get_part(Azure).resources
    found = resources.find("Microsoft.EventGrid/topics/eventSubscriptions", PATH)
    assert found
    return str(found["properties"]["destination"]["properties"]["endpointUrl"])


async def write_url(kind: CallerKind, caller: Caller, old: str, new: str) -> None:
    content = await kind.read(caller)
    await kind.write(caller, replace(content, text=content.text.replace(old, new)))


async def test_url_of_another_system_is_accepted_and_reverted(app: Adapters) -> None:
    kind, caller, url = await add_subscription(app)

    await write_url(kind, caller, url, OTHER)
    moved = read_url(app)
    await write_url(kind, caller, OTHER, url)

    assert moved == OTHER
    assert read_url(app) == url


@pytest.mark.parametrize("problem", ["no answer", "off", "wrong signature"])
async def test_flow_that_does_not_answer_is_rejected(app: Adapters, problem: str) -> None:
    kind, caller, url = await add_subscription(app)
    flow = app.world.environment.flows[HTTP_FLOW]
    await write_url(kind, caller, url, OTHER)
    back = url
    if problem == "no answer":
        flow.client_data = flow.client_data.replace("validationResponse", "ok")
    elif problem == "off":
        flow.state = SimulatedFlowState.STOPPED
    else:
        back = f"{url}x"

    with pytest.raises(PlatformError, match="handshake failed") as caught:
        await write_url(kind, caller, OTHER, back)

    assert caught.value.code == "Url validation"
    assert read_url(app) == OTHER
