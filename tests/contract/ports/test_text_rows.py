"""Test both implementations of `TextRows`. See platform.md#row-versions, #optional-tables."""

from dataclasses import replace

import pytest

from shared.callers.dataverse_webhook import DataverseWebhookCallers
from shared.callers.power_pages import PowerPagesCallers
from shared.errors import Conflict, NotFound
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import HTTP_FLOW

[WEBHOOKS] = DataverseWebhookCallers.columns
[SITE_SETTINGS] = [
    column for column in PowerPagesCallers.columns if column.entity_set == "adx_sitesettings"
]


async def test_row_is_listed_by_its_condition_and_written(side: Side) -> None:
    environment, rows = await side.read_environment(), side.ports.text_rows
    [row] = await rows.list(environment, WEBHOOKS)

    await rows.write(environment, row, "https://new.example")

    assert (row.name, row.text) == ("hook", await side.hands.read_trigger_url(HTTP_FLOW))
    assert (await rows.read(environment, WEBHOOKS, row.id)).text == "https://new.example"
    assert await rows.list(environment, WEBHOOKS) == []


async def test_write_with_an_old_version_is_a_conflict(side: Side) -> None:
    environment, rows = await side.read_environment(), side.ports.text_rows
    [row] = await rows.list(environment, SITE_SETTINGS)
    await rows.write(environment, row, "new")

    with pytest.raises(Conflict):
        await rows.write(environment, row, "late")

    after = await rows.read(environment, SITE_SETTINGS, row.id)
    assert (after.name, after.text) == ("Url", "new")
    assert after.etag != row.etag


async def test_table_that_the_environment_lacks_has_no_rows(side: Side) -> None:
    environment, rows = await side.read_environment(), side.ports.text_rows

    assert await rows.list(environment, replace(WEBHOOKS, entity_set="new_hooks")) == []


async def test_row_that_does_not_exist_is_not_found(side: Side) -> None:
    environment, rows = await side.read_environment(), side.ports.text_rows
    [row] = await rows.list(environment, WEBHOOKS)

    with pytest.raises(NotFound):
        await rows.read(environment, WEBHOOKS, STRANGER)
    with pytest.raises(NotFound):
        await rows.write(environment, replace(row, id=STRANGER), "x")
