import json
from collections.abc import Sequence
from typing import Any

import pytest

from local_cloud.tenant.external_services.azure_devops import AzureDevOps, seed_azure_devops
from local_cloud.tenant.external_services.github import seed_github
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, ServiceResponse
from shared.callers.azure_devops import AZURE_DEVOPS
from shared.callers.github import GITHUB
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from tests.contract.adapter_world import run_adapters
from tests.kinds.callers.github import TOKEN
from tests.local_cloud.tenant.tenant_world import APP

VARIABLES = "repos/contoso/shop/actions/variables"
PROJECTS = "contoso/_apis/projects"
NEXT = "https://dev.azure.com/contoso/_apis/projects?page="


async def test_list_has_the_items_of_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure DevOps names the position of the next page in a header."""
    projects = [{"id": f"p{number}"} for number in range(5)]
    async with run_adapters(monkeypatch) as app:
        organization = {"name": "contoso", "members": [APP], "projects": projects}
        seed_azure_devops(app.world.tenant, [organization])
        app.world.tenant.get_part(AzureDevOps).page_size = 2
        found = await app.json_api.list(AZURE_DEVOPS, PROJECTS, member="value")

    assert found == projects


async def test_list_of_github_has_the_items_of_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub names the URL of the next page in a `Link` header."""
    variables = [{"name": f"V{number}", "value": "x"} for number in range(70)]
    async with run_adapters(monkeypatch) as app:
        repository = {"name": "contoso/shop", "variables": variables}
        seed_github(app.world.tenant, {"repositories": [repository]})
        found = await app.json_api.list(GITHUB, VARIABLES, {"per_page": "30"}, member="variables")

    assert found == variables


async def test_rejected_token_is_a_platform_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app cannot renew a token of GitHub."""
    async with run_adapters(monkeypatch) as app:
        seed_github(app.world.tenant, {"token": "another"})
        with pytest.raises(PlatformError) as raised:
            await app.json_api.list(GITHUB, VARIABLES, member="variables")

    assert raised.value.status == 401
    assert TOKEN not in str(raised.value)


async def test_organization_that_does_not_know_the_app_is_a_platform_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with run_adapters(monkeypatch) as app:
        seed_azure_devops(app.world.tenant, [{"name": "contoso"}])
        with pytest.raises(PlatformError) as raised:
            await app.json_api.list(AZURE_DEVOPS, PROJECTS, member="value")
        with pytest.raises(NotFound):
            await app.json_api.list(AZURE_DEVOPS, "missing/_apis/projects", member="value")

    assert raised.value.status == 401


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([("<html>", {})], id="no JSON"),
        pytest.param([([1], {})], id="no object"),
        pytest.param([({"value": {}}, {})], id="no list"),
        pytest.param(
            [({"value": []}, {"x-ms-continuationtoken": "1"})] * 3, id="the same position"
        ),
        pytest.param([({"value": []}, {"Link": f'<{NEXT}1>; rel="next"'})] * 3, id="the same page"),
        pytest.param(
            [({"value": []}, {"Link": '<https://attacker.example/>; rel="next"'})],
            id="a foreign host",
        ),
        pytest.param(
            [({"value": []}, {"Link": f'<{NEXT.replace("https", "http")}>; rel="next"'})],
            id="no HTTPS",
        ),
    ],
)
async def test_malformed_page_raises_an_error(
    monkeypatch: pytest.MonkeyPatch, pages: Sequence[tuple[Any, dict[str, str]]]
) -> None:
    sent: list[str] = []

    async def answer(_: HttpClient, __: HttpService, call: ServiceRequest) -> ServiceResponse:
        body, headers = pages[len(sent)]
        sent.append(call.url)
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return ServiceResponse(status=200, headers=headers, body=content)

    async with run_adapters(monkeypatch) as app:
        monkeypatch.setattr(HttpClient, "send", answer)
        with pytest.raises(ServiceUnavailable):
            await app.json_api.list(AZURE_DEVOPS, PROJECTS, member="value")

    assert len(sent) == max(1, len(pages) - 1)
    assert all(url.startswith("https://dev.azure.com/") for url in sent)
