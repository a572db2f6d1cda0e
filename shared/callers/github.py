"""Read and write webhooks and Actions variables of GitHub repositories as callers.

GitHub has no ETag for a write, so a text is compared before a write and after it. See
platform.md#github.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import override

from shared.callers.json_service import JsonServiceCallers
from shared.callers.search import UnreadableCallers, find_callers_in_text
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import JsonService

GITHUB = JsonService(
    name="GitHub",
    url="https://api.github.com",
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    scopes=lambda settings: settings.github_repositories,
    # `OWNER/NAME`; a name has a character that is no dot.
    scope_pattern=r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*",
    scope_hint="Use OWNER/NAME, such as contoso/shop.",
    token=lambda settings: settings.github_token,
)
_HOOKS, _SECRETS, _VARIABLES = "hooks", "actions/secrets", "actions/variables"
#: Lists of a repository → the member with the items (empty: the response), and a page's most items.
_LISTS = {_HOOKS: ("", "100"), _SECRETS: ("secrets", "100"), _VARIABLES: ("variables", "30")}
_NAMES = {_HOOKS: "webhooks", _SECRETS: "secrets", _VARIABLES: "variables"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    repository: str
    list_name: str

    @property
    def path(self) -> str:
        return f"repos/{self.repository}/{self.list_name}"

    @property
    def label(self) -> str:
        return f"{_NAMES[self.list_name]} of the GitHub repository {self.repository}"


class GitHubCallers(JsonServiceCallers):
    """The caller kind of GitHub webhooks and Actions variables.

    A caller's address is the path of a webhook or variable.
    """

    kind = "github"
    service = GITHUB
    is_json = False
    #: The next event or run reads the new value.
    old_value_lifetime = timedelta(0)
    required_permissions = RequiredPermissions(
        fix="Let CMK_GITHUB_TOKEN read and write webhooks and variables of the repository and read "
        "the names of its secrets, or remove it from CMK_GITHUB_REPOSITORIES. Nobody can read "
        "secrets: check them yourself.",
    )

    async def require_readable_scope(self, scope: str) -> None:
        await self._read_place(_Place(repository=scope, list_name=_HOOKS))

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        places = [
            _Place(repository=repository, list_name=list_name)
            for repository in await self.list_well_formed_scopes(unreadable)
            for list_name in _LISTS
        ]
        readings = unreadable.read_readable_places(
            places, lambda one: one.path, self._read_place, lambda one: one.label
        )
        async with aclosing(readings):
            async for place, documents in readings:
                if place.list_name == _SECRETS:
                    if names := ", ".join(str(one.get("name")) for one in documents):
                        unreadable.record_unsearched(
                            f"secrets {names} of the GitHub repository {place.repository}"
                        )
                    continue
                for document in documents:
                    caller = self.build_place(*_describe_place(place, document))
                    for one in find_callers_in_text(_get_text(document), caller):
                        yield one

    async def read(self, caller: Caller) -> CallerContent:
        text = _get_text(await self._api.get(GITHUB, caller.address))
        return CallerContent(text=text, etag=hash_texts(caller.address, text))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        now = await self.read(caller)
        if now.text == value.text:
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        if f"/{_HOOKS}/" in caller.address:
            # A change of the webhook itself would remove its secret.
            await self._api.patch(GITHUB, f"{caller.address}/config", {"url": value.text})
        else:
            name = caller.address.rpartition("/")[2]
            await self._api.patch(GITHUB, caller.address, {"name": name, "value": value.text})
        if (await self.read(caller)).text != value.text:
            raise Conflict(f"The {caller.label} was changed by somebody else")

    async def _read_place(self, place: _Place) -> Sequence[Mapping[str, object]]:
        member, size = _LISTS[place.list_name]
        try:
            return await self._api.list(GITHUB, place.path, {"per_page": size}, member=member)
        except NotFound as err:  # GitHub's answer without access, too
            raise PlatformError(str(err), code="not found", status=404) from err


def _describe_place(place: _Place, document: Mapping[str, object]) -> tuple[str, str]:
    """Return the address and label of a webhook or variable."""
    name = document.get("id" if place.list_name == _HOOKS else "name")
    noun = "webhook" if place.list_name == _HOOKS else "variable"
    return f"{place.path}/{name}", f"{noun} {name} of the GitHub repository {place.repository}"


def _get_text(document: Mapping[str, object]) -> str:
    holder = mapping_at(document, "config") if "config" in document else document
    return text_at(holder, "url" if "config" in document else "value") or ""
