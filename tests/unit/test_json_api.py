"""Answers of services that hold callers as JSON documents."""

import pytest

from shared.adapters.http.client import HttpClient
from shared.adapters.http.json_api import HttpJsonApi
from shared.callers.azure_devops import AZURE_DEVOPS
from shared.errors import PlatformError
from tests.fakes.services import fake_settings
from tests.unit.adapter_wire import Scripted, ScriptedTransport


async def test_sign_in_page_costs_only_its_organization() -> None:
    """A temporary error would be repeated, and then stop the search of all organizations."""
    page = Scripted(status=203, body=b"<html>Sign in</html>")
    http = HttpClient(ScriptedTransport(page))
    api = HttpJsonApi(http, None, fake_settings())

    with pytest.raises(PlatformError) as raised:
        await api.list(AZURE_DEVOPS, "contoso/_apis/projects", member="value")

    assert (raised.value.code, raised.value.status) == ("Http203", 401)
