"""Test both implementations of `EnvironmentVariables` (platform.md#environment-variables)."""

import pytest

from shared.errors import Conflict, NotFound
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import HTTP_FLOW


async def test_variable_is_written_with_the_etag_of_its_row(side: Side) -> None:
    """The value and the default value are separate rows."""
    environment, variables = await side.read_environment(), side.ports.environment_variables
    [variable] = await variables.list(environment)
    assert variable.value_id is not None
    assert variable.value == await side.hands.read_trigger_url(HTTP_FLOW)
    value, default = variable.value_id, variable.definition_id

    await variables.write_value(environment, value, "new", etag=variable.value_etag)
    await variables.write_default(environment, default, "some", etag=variable.definition_etag)
    with pytest.raises(Conflict):
        await variables.write_value(environment, value, "late", etag=variable.value_etag)
    with pytest.raises(Conflict):
        await variables.write_default(environment, default, "late", etag=variable.definition_etag)

    [after] = await variables.list(environment)
    assert after.schema_name == "cr1_ordersurl"
    assert (after.value, after.default_value) == ("new", "some")


async def test_missing_variable_is_not_found(side: Side) -> None:
    environment, variables = await side.read_environment(), side.ports.environment_variables

    with pytest.raises(NotFound):
        await variables.write_value(environment, STRANGER, "new", etag='W/"1"')
    with pytest.raises(NotFound):
        await variables.write_default(environment, STRANGER, "new", etag='W/"1"')
