from dataclasses import replace
from typing import Any

from shared.domain.flow import WorkflowDraft
from tests.contract.adapter_world import Adapters
from tests.local_cloud.tenant.tenant_world import HTTP, MAKER, build_client_data, build_definition

COPY = "c0000000-0000-4000-8000-000000000001"


def find_maker_row(app: Adapters) -> str:
    """Return the `systemuserid` of the flow's maker."""
    row: str = app.world.environment.users[MAKER]["systemuserid"]
    return row


def build_copy_draft(app: Adapters, **more: Any) -> WorkflowDraft:
    plain = WorkflowDraft(
        workflow_id=COPY,
        name="Receive order (CMK)",
        description="copy",
        client_data=build_client_data(build_definition(HTTP)),
        owner_id=find_maker_row(app),
    )
    return replace(plain, **more)
