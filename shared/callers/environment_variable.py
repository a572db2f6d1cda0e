"""Read and write Dataverse environment variables as callers: a value and a default are two places.

Flows use a variable's old value until they are saved (platform.md#stale-variables).
`read_flows_to_save` lists them. See platform.md#environment-variables.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    find_callers_in_text,
    get_environment_id,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.environment import Environment
from shared.domain.flow import Workflow
from shared.domain.permissions import IN_DATAVERSE
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import NotFound, PlatformError
from shared.ports import (
    Environments,
    EnvironmentVariable,
    EnvironmentVariables,
    FlowsToSave,
    Workflows,
)
from shared.settings import Settings

VALUE, DEFAULT = "value", "default"


class EnvironmentVariableCallers(SearchedCallers):
    """The caller kind of Dataverse environment variables.

    A caller's address is `environment/value|default/definition`.
    """

    kind = "environment_variable"
    is_json = False
    required_permissions = IN_DATAVERSE

    def __init__(
        self,
        environment_variables: EnvironmentVariables,
        workflows: Workflows,
        environments: Environments,
        settings: Settings,
    ) -> None:
        self.old_value_lifetime = settings.variable_old_value_lifetime
        self._variables = environment_variables
        self._workflows = workflows
        self._environments = environments

    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        for environment in unreadable.search.list_remaining_places(
            environments, get_environment_id
        ):
            if environment.dataverse_url is None:
                continue
            try:
                for caller in await self._read_callers_in_environment(environment):
                    yield caller
            except PlatformError as err:
                unreadable.record_place(f"environment {environment.display_name}", err)

    async def read(self, caller: Caller) -> CallerContent:
        _, part, variable = await self._read_place(caller)
        return _build_content(variable, part)

    async def write(self, caller: Caller, value: CallerContent) -> None:
        environment, part, variable = await self._read_place(caller)
        if _build_content(variable, part).text != value.text:
            if part == VALUE:
                await self._variables.write_value(
                    environment, variable.value_id or "", value.text, etag=value.etag
                )
            else:
                await self._variables.write_default(
                    environment, variable.definition_id, value.text, etag=value.etag
                )

    async def read_flows_to_save(self, caller: Caller) -> FlowsToSave:
        """Return the flows that use the variable, and when the variable was written.

        Omits flows of managed solutions: only a person changes a variable that they use.
        """
        environment, part, variable = await self._read_place(caller)
        users = (await self._read_flows_by_variable(environment)).get(_get_schema_key(variable), [])
        return FlowsToSave(
            written_at=(
                variable.value_modified_at if part == VALUE else variable.definition_modified_at
            ),
            flows=[workflow for workflow in users if not workflow.is_managed],
        )

    async def _read_callers_in_environment(self, environment: Environment) -> list[Caller]:
        holding = [
            variable
            for variable in await self._variables.list(environment)
            if any(find_trigger_urls(text) for _, text in _list_texts_by_part(variable))
        ]
        users = (
            await self._read_flows_by_variable(environment, managed_only=True) if holding else {}
        )
        return [
            caller
            for variable in holding
            for caller in _build_callers(
                environment, variable, users.get(_get_schema_key(variable), [])
            )
        ]

    async def _read_flows_by_variable(
        self, environment: Environment, *, managed_only: bool = False
    ) -> dict[str, list[Workflow]]:
        users: defaultdict[str, list[Workflow]] = defaultdict(list)
        async for workflow in self._workflows.list(environment, managed_only=managed_only):
            for name in _find_variable_names(workflow):
                users[name].append(workflow)
        return users

    async def _read_place(self, caller: Caller) -> tuple[Environment, str, EnvironmentVariable]:
        environment_id, part, definition_id = caller.address.split("/")
        environment = await self._environments.get_cached(environment_id)
        for variable in await self._variables.list(environment):
            if variable.definition_id == definition_id:
                return environment, part, variable
        raise NotFound(f"The {caller.label} no longer exists")


def _build_callers(
    environment: Environment, variable: EnvironmentVariable, managed_users: Iterable[Workflow]
) -> Iterator[Caller]:
    managed = sorted(workflow.name for workflow in managed_users)
    for part, text in _list_texts_by_part(variable):
        place = Caller(
            kind=EnvironmentVariableCallers.kind,
            address=f"{environment.id}/{part}/{variable.definition_id}",
            label=f"{part} of the environment variable {variable.schema_name}",
            resource_id=f"environment_variable/{environment.id}/{variable.definition_id}",
            environment_id=environment.id,
            manual_reason=_find_manual_reason(managed),
        )
        yield from find_callers_in_text(text, place)


def _find_manual_reason(managed: Sequence[str]) -> str:
    if not managed:
        return ""
    return (
        f"These flows of a managed solution use it and keep the old value: {', '.join(managed)}. "
        "Set the new value, then turn each of them off and on while it receives no calls."
    )


def _list_texts_by_part(variable: EnvironmentVariable) -> list[tuple[str, str]]:
    both = ((VALUE, variable.value), (DEFAULT, variable.default_value))
    return [(part, text) for part, text in both if text]


def _build_content(variable: EnvironmentVariable, part: str) -> CallerContent:
    if part == VALUE and variable.value_id is not None and variable.value is not None:
        return CallerContent(text=variable.value, etag=variable.value_etag)
    if part == DEFAULT and variable.default_value is not None:
        return CallerContent(text=variable.default_value, etag=variable.definition_etag)
    raise NotFound(f"The environment variable {variable.schema_name} no longer has a {part}")


def _find_variable_names(workflow: Workflow) -> set[str]:
    if "schemaName" not in workflow.client_data:
        return set()
    try:
        definition = parse_client_data(workflow.client_data)
    except UnreadableDefinition:
        return set()  # discovery reports it, and such a flow does not run
    return {name.lower() for name in definition.environment_variables}


def _get_schema_key(variable: EnvironmentVariable) -> str:
    return variable.schema_name.lower()
