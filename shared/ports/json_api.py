"""The port for services outside Azure and Power Platform that contain callers in JSON documents."""

import builtins
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the command line has the ports without what settings need
    from shared.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonService:
    """A service and how to reach it. Each caller kind in such a service defines one."""

    #: Name in messages and request counts, such as `GitHub`.
    name: str
    #: Without a final slash. Empty: every path starts with its host.
    url: str = ""
    #: Sent with each request, such as the version of the API.
    headers: Mapping[str, str]
    #: Return the organizations, repositories or sites to search; none: the service is not used.
    scopes: Callable[["Settings"], Sequence[str]]
    #: Regular expression for the name of each, and what to use instead of another text: only then
    #: do its requests reach the service.
    scope_pattern: str
    scope_hint: str
    #: Audience of the identity's access token. Empty: the host of each request.
    audience: str = ""
    #: Return a token that an administrator created; None: the app's identity gets one.
    token: Callable[["Settings"], str] | None = None


class JsonApi(Protocol):
    """Read and write documents of a service by their paths, such as `contoso/_apis/projects`.

    Paths have no leading slash. The services have no ETags. A read is a GET, or a POST if
    `arguments` are given, which are then its body.
    """

    async def read_scopes(self, service: JsonService) -> Sequence[str]:
        """Return the organizations, repositories or sites that a setting names.

        Sends no request. If there is none, the service is not used.
        """

    async def list(
        self,
        service: JsonService,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        member: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> builtins.list[Mapping[str, object]]:
        """Return all items of a list, which is the response or its member `member`.

        Raises `PlatformError` if the app has no access, and `NotFound` if the list does not exist.
        """

    async def get(
        self, service: JsonService, path: str, arguments: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        """Return a document. Raises `NotFound` if it does not exist."""

    async def put(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        """Replace a document. Raises `NotFound` if it does not exist."""

    async def patch(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        """Change members of a document. Raises `NotFound` if it does not exist."""
