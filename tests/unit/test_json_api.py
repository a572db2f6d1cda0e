from datetime import timedelta

import pytest

from shared.adapters.http.client import HttpClient
from shared.adapters.http.json_api import HttpJsonApi
from shared.callers.azure_devops import AZURE_DEVOPS
from shared.callers.github import GitHubCallers
from shared.domain.callers.search_position import CallerSearchPosition
from shared.errors import PlatformError, ThrottledError
from tests.fakes.services import build_fake_settings
from tests.unit.adapter_wire import Scripted, ScriptedTransport


async def test_sign_in_page_affects_only_its_organization() -> None:
    """Retries of a transient error would stop the search of all organizations."""
    page = Scripted(status=203, body=b"<html>Sign in</html>")
    http = HttpClient(ScriptedTransport(page))
    api = HttpJsonApi(http, None, build_fake_settings())

    with pytest.raises(PlatformError) as raised:
        await api.list(AZURE_DEVOPS, "contoso/_apis/projects", member="value")

    assert (raised.value.code, raised.value.status) == ("Http203", 401)


async def test_rate_limit_stops_a_search_until_it_is_over() -> None:
    limit = Scripted(status=403, headers={"Retry-After": "90"}, body={"message": "rate limit"})
    secrets, variables = (Scripted(body={name: []}) for name in ("secrets", "variables"))
    hooks = Scripted(body=[])  # reads are sent concurrently
    transport = ScriptedTransport(secrets, limit, hooks, variables, hooks)
    settings = build_fake_settings(github_repositories=("contoso/shop",))
    kind = GitHubCallers(HttpJsonApi(HttpClient(transport), None, settings))
    search = CallerSearchPosition()

    with pytest.raises(ThrottledError) as raised:
        _ = [one async for one in kind.find([], search)]
    found = [one async for one in kind.find([], search)]

    assert raised.value.retry_after == timedelta(seconds=90)
    assert (found, search.unreadable) == ([], [])
    assert transport.answers == []
