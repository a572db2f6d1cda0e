"""Test data of the caller kind *Power Pages*."""

import json
from typing import TYPE_CHECKING

from local_cloud.tenant.dataverse.rows import TABLES, create_row
from tests.fakes.builder import Builder
from tests.kinds.case import IN_ROWS, CallerCase

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    tenant, environment = app.world.tenant, app.world.environment
    site = create_row(tenant, environment, TABLES["powerpagesites"], {"name": "Contoso"})
    setting = {
        "name": "Flow/Url",
        "content": json.dumps({"value": url, "source": 0}, indent=2),
        "_powerpagesiteid_value": site["powerpagesiteid"],
    }
    create_row(tenant, environment, TABLES["powerpagecomponents"], setting)


CASE = CallerCase(
    add=Builder.add_site_setting_caller,
    remove=lambda build: build.environment.rows.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    requests=IN_ROWS,
)
