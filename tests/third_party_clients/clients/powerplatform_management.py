"""Use Microsoft's generated SDK for `api.powerplatform.com`, signed in as a managed identity.

This script runs in a separate process that knows only its environment variables.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

from azure.identity.aio import ManagedIdentityCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.httpx_request_adapter import HttpxRequestAdapter
from mspp_management.service_client_base import ServiceClientBase
from results import join_versions, report_all

ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
ORDERS = UUID("f0000000-0000-4000-8000-000000000001")
SCOPE = "https://api.powerplatform.com/.default"


def build_call(call: Callable[[ServiceClientBase], Awaitable[str]]) -> Callable[[], str]:
    """Return a function that makes a call of the SDK with a new client."""

    async def call_service() -> str:
        async with ManagedIdentityCredential() as credential:
            provider = AzureIdentityAuthenticationProvider(credential, scopes=[SCOPE])
            return await call(ServiceClientBase(HttpxRequestAdapter(provider)))

    return lambda: asyncio.run(call_service())


def build_configuration(builder: Any, **query: Any) -> Any:
    parameters = next(
        value for name, value in vars(type(builder)).items() if name.endswith("GetQueryParameters")
    )
    return RequestConfiguration(
        query_parameters=parameters(api_version="2022-03-01-preview", **query)
    )


def join_member(items: Iterable[Any] | None, member: str) -> str:
    return ", ".join(sorted(str(getattr(each, member)) for each in items or ())) or "none"


async def list_environments(client: ServiceClientBase) -> str:
    builder = client.environmentmanagement.environments
    answer = await builder.get(build_configuration(builder))
    return join_member(answer.value, "display_name")


async def get_environment(client: ServiceClientBase, name: str = ENVIRONMENT) -> str:
    builder = client.environmentmanagement.environments.by_environment_id(name)
    return str((await builder.get(build_configuration(builder))).azure_region)


def build_flow_requests(client: ServiceClientBase, name: str = ENVIRONMENT) -> Any:
    return client.powerautomate.environments.by_environment_id(name)


async def list_cloud_flows(client: ServiceClientBase, name: str = ENVIRONMENT, **query: Any) -> str:
    builder = build_flow_requests(client, name).cloud_flows
    return join_member((await builder.get(build_configuration(builder, **query))).value, "name")


async def list_flow_actions(client: ServiceClientBase, **query: Any) -> str:
    builder = build_flow_requests(client).flow_actions
    answer = await builder.get(build_configuration(builder, **query))
    return ", ".join(sorted(each.operation_type.value for each in answer.value))


async def list_flow_runs(client: ServiceClientBase) -> str:
    builder = build_flow_requests(client).flow_runs
    return join_member(
        (await builder.get(build_configuration(builder, workflow_id=ORDERS))).value, "status"
    )


CALLS = (
    ("environmentmanagement.environments.get", build_call(list_environments)),
    (
        "environmentmanagement.environments.by_environment_id(ENVIRONMENT).get",
        build_call(get_environment),
    ),
    (
        "environmentmanagement.environments.by_environment_id(NOBODY).get",
        build_call(lambda client: get_environment(client, "nobody")),
    ),
    ("powerautomate….cloud_flows.get", build_call(list_cloud_flows)),
    (
        "powerautomate….cloud_flows.get, workflowId",
        build_call(lambda client: list_cloud_flows(client, workflow_id=ORDERS)),
    ),
    (
        "powerautomate….cloud_flows.get, createdOnStartDate",
        build_call(lambda client: list_cloud_flows(client, created_on_start_date="2026-01-01")),
    ),
    (
        "powerautomate….cloud_flows.get, of NOBODY",
        build_call(lambda client: list_cloud_flows(client, "nobody")),
    ),
    (
        "powerautomate….flow_actions.get, workflowId",
        build_call(lambda client: list_flow_actions(client, workflow_id=ORDERS)),
    ),
    (
        "powerautomate….flow_actions.get, isTrigger",
        build_call(lambda client: list_flow_actions(client, is_trigger=True)),
    ),
    ("powerautomate….flow_runs.get, workflowId", build_call(list_flow_runs)),
)

if __name__ == "__main__":
    report_all(CALLS, join_versions("powerplatform-management"))
