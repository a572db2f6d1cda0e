"""Test data of the caller kind *custom connector*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.dataverse.rows import TABLES, create_row
from tests.fakes.builder import Builder, describe_connector
from tests.kinds.case import IN_ROWS, CallerCase

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    row = {"name": "contoso_orders", "displayname": "Orders"}
    row["openapidefinition"] = describe_connector(url)
    create_row(app.world.tenant, app.world.environment, TABLES["connectors"], row)


CASE = CallerCase(
    add=Builder.add_connector_caller,
    remove=lambda build: build.environment.rows.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=True,
    requests=IN_ROWS,
)
