"""Fake of the port `EnvironmentVariables`.

A flow that reads a variable keeps the old value until the flow is saved. See
platform.md#stale-variables.
"""

import builtins

from shared.domain.environment import Environment
from shared.errors import Conflict, NotFound
from shared.ports import EnvironmentVariable
from tests.fakes.tenant import FakeVariable
from tests.fakes.world import WorldFake


class FakeEnvironmentVariables(WorldFake):
    async def list(self, environment: Environment) -> builtins.list[EnvironmentVariable]:
        now = self._world.clock.now()
        variables = self._world.get_environment(environment.id).variables.values()
        shown = (one.past.find_shown_item(one, now, in_list=True) for one in variables)
        return [_build_row(variable) for variable in shown if variable is not None]

    async def write_value(
        self, environment: Environment, value_id: str, value: str, *, etag: str
    ) -> None:
        variables = self._world.get_environment(environment.id).variables.values()
        for variable in variables:
            if variable.value_id == value_id:
                _require_etag(etag, variable.value_version)
                with self._world.record_write(environment.id, "write variable", value_id):
                    variable.value = value
                    variable.value_version += 1
                    variable.value_modified_at = self._world.clock.now().replace(microsecond=0)
                return
        raise NotFound(f"environmentvariablevalue With Id = {value_id} Does Not Exist")

    async def write_default(
        self, environment: Environment, definition_id: str, value: str, *, etag: str
    ) -> None:
        variable = self._world.get_environment(environment.id).variables.get(definition_id)
        if variable is None:
            raise NotFound(
                f"environmentvariabledefinition With Id = {definition_id} Does Not Exist"
            )
        _require_etag(etag, variable.definition_version)
        with self._world.record_write(environment.id, "write variable", definition_id):
            variable.default_value = value
            variable.definition_version += 1
            variable.definition_modified_at = self._world.clock.now().replace(microsecond=0)


def _require_etag(etag: str, version: int) -> None:
    if etag not in ("*", f'W/"{version}"'):
        raise Conflict("The version of the existing record doesn't match the RowVersion.")


def _build_row(variable: FakeVariable) -> EnvironmentVariable:
    return EnvironmentVariable(
        definition_id=variable.definition_id,
        schema_name=variable.schema_name,
        value_id=variable.value_id,
        value=variable.value,
        default_value=variable.default_value,
        value_etag="" if variable.value_id is None else f'W/"{variable.value_version}"',
        definition_etag=f'W/"{variable.definition_version}"',
        value_modified_at=variable.value_modified_at,
        definition_modified_at=variable.definition_modified_at,
    )
