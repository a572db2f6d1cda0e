"""Test the deployed app with Schemathesis, which sends requests that it derives from the OpenAPI
document.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local_cloud.stack import AppAddress, Stack, StackOptions
from tests.contract.adapter_world import build_description
from tests.e2e.test_http_api_wire import SETTINGS, Client
from tests.functional.app.test_sign_in import API_CLIENT, AUTHENTICATION, REGISTRATION
from tests.local_cloud.tenant.tenant_world import APP, ENVIRONMENT
from tests.third_party_clients.installed_clients import INSTALLED, needs_third_party_clients

pytestmark = needs_third_party_clients
HERE = Path(__file__).parent / "clients"
#: Each operation is tried so often beside what covers its schema.
EXAMPLES = 10
#: What a run may take: the machine does other things too.
SECONDS = 300
PLENTY = "1000000"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[tuple[AppAddress, str]]:
    """Run the app with a completed dry run. Yield it with an access token that has every role."""
    seed = build_description()
    roles = {APP: ["reader", "operator", "approver"]}
    seed["directory"]["applications"].append(REGISTRATION | {"appRoles": roles})
    settings = SETTINGS | {
        "CMK_FUNCTION_KEY_ROLES": "",
        "CMK_RESOURCE_MANAGER_REQUESTS_PER_MINUTE": PLENTY,
        "CMK_DATAVERSE_REQUESTS_PER_MINUTE": PLENTY,
        "CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE": PLENTY,
        "CMK_FLOW_SERVICE_REQUESTS_PER_DAY": PLENTY,
        "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(AUTHENTICATION),
    }
    async with Stack(StackOptions(folder=tmp_path, seed=seed, settings=settings)) as stack:
        app = await stack.start_app()
        token = await get_machine_token(stack)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            client = Client(session, app.url)
            order = {"mode": "dry_run", "environment_ids": [ENVIRONMENT]}
            started = await client.call("POST", "remediations", order)
            await client.wait_until_ended(f"remediations/{started['id']}")
        yield app, token


async def get_machine_token(stack: Stack) -> str:
    """Request an access token for the app, as a managed identity does."""
    address = stack.tenant
    query = {"resource": f"api://{API_CLIENT}", "api-version": "2019-08-01"}
    headers = {"X-IDENTITY-HEADER": address.identity_header}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(address.identity_endpoint, params=query) as reply,
    ):
        document = await reply.json()
        return str(document["access_token"])


async def run_program(*command: str) -> str:
    """Run a program that is installed with the third-party clients.

    Fails with its output if the program fails.
    """
    process = await asyncio.create_subprocess_exec(
        str(INSTALLED / "bin" / command[0]),
        *command[1:],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    text = said.decode(errors="replace")
    assert process.returncode == 0, text[-20_000:]
    return text


@pytest.mark.timeout(SECONDS + 60)
async def test_app_behaves_as_its_openapi_document_says(
    app: tuple[AppAddress, str], tmp_path: Path
) -> None:
    address, token = app
    document = f"{address.url}/api/openapi.json"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(document) as reply,
    ):
        content = await reply.read()
    file = tmp_path / "openapi.json"
    file.write_bytes(content)

    await run_program("openapi-spec-validator", "--schema", "3.1", str(file))
    said = await run_program(
        "schemathesis",
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        str(file),
        "--url",
        f"{address.url}/api",
        "--header",
        f"Authorization: Bearer {token}",
        "--workers",
        "2",
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        "1",
        "--continue-on-failure",
        "--warnings",
        "off",
    )

    assert "not applicable" not in said  # sequences too are tried
    assert f"Tested: {sum(len(one) for one in json.loads(content)['paths'].values())}" in said
