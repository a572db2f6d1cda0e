import builtins
from collections.abc import Mapping, Sequence

import pytest

from shared.callers.azure_devops import AzureDevOpsCallers
from shared.callers.github import GitHubCallers
from shared.callers.sharepoint import SharePointCallers
from shared.errors import JobBlocked, PlatformError
from shared.ports import JsonService
from tests.fakes.json_api import FakeJsonApi
from tests.fakes.world import World

SITE = "contoso.sharepoint.com/sites/shop"
type Kind = type[GitHubCallers | AzureDevOpsCallers | SharePointCallers]
CASES: list[tuple[Kind, str, Sequence[str]]] = [
    (GitHubCallers, "contoso/shop", ("shop", "contoso/..", "a/b/c", "a b/c", "contoso/shop?a=b")),
    (AzureDevOpsCallers, "contoso", ("", "contoso/shop", "a b", "https:", "a" * 51)),
    (
        SharePointCallers,
        SITE,
        ("sharepoint.com/sites/x", "attacker.example/x", f"{SITE}?a=b", "a.b.sharepoint.com"),
    ),
]


class Api(FakeJsonApi):
    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(World())
        self.scopes = scopes
        self.paths: list[str] = []

    async def read_scopes(self, service: JsonService) -> Sequence[str]:
        return self.scopes

    async def list(
        self,
        service: JsonService,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        member: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> builtins.list[Mapping[str, object]]:
        self.paths.append(path)
        return []


@pytest.mark.parametrize(("kind", "right", "wrong"), CASES)
async def test_malformed_scope_is_named_and_the_others_are_searched(
    kind: Kind, right: str, wrong: Sequence[str]
) -> None:
    alone, both = Api([right]), Api([*wrong, right])

    assert [one async for one in kind(alone).find([])] == []
    with pytest.raises(JobBlocked) as raised:
        _ = [one async for one in kind(both).find([])]

    assert both.paths == alone.paths
    assert all(f"{one} (malformed: " in str(raised.value) for one in wrong)


@pytest.mark.parametrize(("kind", "right", "wrong"), CASES)
async def test_check_of_a_malformed_scope_fails_without_a_request(
    kind: Kind, right: str, wrong: Sequence[str]
) -> None:
    """`cmkflow doctor` makes this check."""
    api = Api([right, *wrong])
    checked = kind(api)

    await checked.require_searchable_scope(right)
    before = list(api.paths)
    for one in wrong:
        with pytest.raises(PlatformError, match="is malformed"):
            await checked.require_searchable_scope(one)

    assert before
    assert api.paths == before
