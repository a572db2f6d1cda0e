import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

from tests.local_cloud.tenant.tenant_world import (
    BAP,
    BAP_AUDIENCE,
    ENVIRONMENT,
    FLOW_HOST,
    HTTP,
    HTTP_FLOW,
    MAKER,
    OTHER_REGION,
    UNLICENSED,
    Answer,
    TenantWorld,
    build_definition,
)

FORMS = {
    f"{BAP}/environments": "Microsoft.BusinessAppPlatform/environments",
    f"{FLOW_HOST}/environments": "Microsoft.ProcessSimple/environments",
    "https://api.powerapps.com/providers/Microsoft.PowerApps/environments": (
        "Microsoft.PowerApps/environments"
    ),
}
NOBODY = "c0000000-0000-4000-8000-000000000009"


def find_audience(url: str) -> str | None:
    """Return the audience for Power Apps, which accepts tokens for BAP, or None."""
    return BAP_AUDIENCE if "powerapps.com" in url else None


@pytest.mark.parametrize(("url", "kind"), FORMS.items())
async def test_makers_list_their_own_environments(world: TenantWorld, url: str, kind: str) -> None:
    del world.platform.environments[OTHER_REGION].users[MAKER]

    mine = await world.read_all_pages(url, who=MAKER, audience=find_audience(url))
    of_nobody = await world.read_all_pages(url, who=NOBODY, audience=find_audience(url))

    assert [(each["name"], each["type"]) for each in mine] == [(ENVIRONMENT, kind)]
    assert mine[0]["id"].endswith(f"/environments/{ENVIRONMENT}")
    assert of_nobody == []


@pytest.mark.parametrize("url", FORMS)
async def test_default_environment_is_found_by_its_alias(world: TenantWorld, url: str) -> None:
    before = await world.call("GET", f"{url}/~default", who=MAKER, audience=find_audience(url))
    world.environment.is_default = True

    answer = await world.call("GET", f"{url}/~Default", who=MAKER, audience=find_audience(url))

    assert before.status in (403, 404)
    assert (answer.status, answer.body["name"]) == (200, ENVIRONMENT)


async def test_slash_before_the_query_is_ignored(world: TenantWorld) -> None:
    """Microsoft's scripts for enterprise policies send such requests."""
    url = f"{BAP}/environments/{ENVIRONMENT}/?&api-version=2016-11-01"

    answer = await world.call("GET", url)

    assert (answer.status, answer.body["name"]) == (200, ENVIRONMENT)
    assert answer.body["id"].endswith(f"BusinessAppPlatform/environments/{ENVIRONMENT}")


async def request_package(world: TenantWorld, who: str) -> Answer:
    environment = f"{BAP}/environments/{ENVIRONMENT}"
    flow = f"/providers/Microsoft.Flow/flows/{HTTP_FLOW}"
    listed = await world.call(
        "POST", f"{environment}/listPackageResources", {"baseResourceIds": [flow]}, who=who
    )
    if listed.status != 200:
        return listed
    body = {"includedResourceIds": [flow], "resources": listed.body["resources"], "details": {}}
    return await world.call("POST", f"{environment}/exportPackage", body, who=who)


async def test_package_of_a_flow_is_exported_for_its_editors(world: TenantWorld) -> None:
    """The link to a package is signed, and a request for it must have no token."""
    made = await request_package(world, MAKER)
    refused = await request_package(world, UNLICENSED)
    link = made.body["packageLink"]["value"]
    options: dict[str, Any] = {"proxy": world.server.proxy_url}

    async with world.session.get(link, **options) as response:
        package = ZipFile(BytesIO(await response.read()))
    async with world.session.get(link.partition("?")[0], **options) as response:
        unsigned = response.status
    headers = {"Authorization": f"Bearer {world.issue_token(MAKER, BAP_AUDIENCE)}"}
    async with world.session.get(link, headers=headers, **options) as response:
        with_token = response.status

    saved = json.loads(package.read(f"Microsoft.Flow/flows/{HTTP_FLOW}/definition.json"))
    assert saved["properties"]["definition"] == build_definition(HTTP)
    assert (refused.status, refused.code) == (403, "ConnectionAuthorizationFailed")
    assert (unsigned, with_token) == (403, 403)


async def test_a_flow_is_exported_as_a_template(world: TenantWorld) -> None:
    """The template is a Logic App with the flow's definition."""
    url = f"{FLOW_HOST}/environments/{ENVIRONMENT}/flows/{HTTP_FLOW}/exportToARMTemplate"

    answer = await world.call("POST", url, who=MAKER)

    [workflow] = answer.body["resources"]
    assert workflow["properties"]["definition"] == build_definition(HTTP)
