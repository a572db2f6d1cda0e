import json
from collections.abc import Mapping
from typing import Any

from tests.local_cloud.tenant.tenant_world import (
    HTTP,
    MAKER,
    ORG_API,
    Answer,
    TenantWorld,
    build_client_data,
    build_definition,
)

COPY = "c0000000-0000-4000-8000-000000000001"
WORKFLOWS = f"{ORG_API}/workflows"
ON = {"statecode": 1, "statuscode": 2}
OFF = {"statecode": 0, "statuscode": 1}
AS_MAKER = {"CallerObjectId": MAKER}


def build_workflow(data: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "category": 5,
        "type": 1,
        "primaryentity": "none",
        "name": "Copy",
        "clientdata": data or build_client_data(build_definition(HTTP)),
        **more,
    }


async def create_flow(
    world: TenantWorld, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Answer:
    """Create the flow `COPY` with `If-None-Match: *`."""
    sent = {"If-None-Match": "*", **(headers or {})}
    return await world.call("PATCH", f"{WORKFLOWS}({COPY})", body, headers=sent)


async def read_flow(world: TenantWorld, workflow_id: str = COPY) -> dict[str, Any]:
    answer = await world.call("GET", f"{WORKFLOWS}({workflow_id})")
    assert answer.status == 200, answer.body
    row: dict[str, Any] = answer.body
    return row


def parse_inner_error(answer: Answer) -> dict[str, Any]:
    """Return the flow service's error, which Dataverse's error contains as text."""
    assert answer.code == "0x80060467"
    message: str = answer.body["error"]["message"]
    wrapped = json.loads(message[message.index('details "') + 9 : message.rindex('"')])
    error: dict[str, Any] = wrapped["error"]
    return error
