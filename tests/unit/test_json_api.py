"""Answers of services that hold callers as JSON documents."""

import pytest

from shared.adapters.http.client import HttpClient, HttpService
from shared.adapters.http.json_api import HttpJsonApi, JsonApiAddress
from shared.errors import PlatformError
from tests.unit.adapter_wire import Scripted, ScriptedTransport


async def test_sign_in_page_costs_only_its_organization() -> None:
    """A temporary error would be repeated, and then stop the search of all organizations."""
    page = Scripted(status=203, body=b"<html>Sign in</html>")
    http = HttpClient(ScriptedTransport(page))
    service = HttpService(name="Azure DevOps", scope="", credential=None)
    address = JsonApiAddress(url="https://dev.azure.com", headers={}, scopes=("contoso",))

    with pytest.raises(PlatformError) as raised:
        await HttpJsonApi(http, service, address).list("contoso/_apis/projects", member="value")

    assert (raised.value.code, raised.value.status) == ("Http203", 401)
