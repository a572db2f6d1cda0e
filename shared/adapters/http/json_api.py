"""Read and write JSON documents of services that hold callers, such as Azure DevOps."""

import builtins
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    ServiceResponse,
    check_next,
    check_unread,
    read_object,
)
from shared.domain.definitions.json_values import as_mapping, parse_json_value
from shared.errors import PlatformError, ServiceUnavailable, TokenRejected
from shared.ports import JsonApi

#: The next page in a `Link` header (RFC 8288), as GitHub sends it.
_NEXT = re.compile(r'<(?P<url>[^>]+)>\s*;\s*rel="next"')
#: The header of Azure DevOps with the position of the next page.
_POSITION = "x-ms-continuationtoken"
#: Azure DevOps may answer so instead of 401 (platform.md#azure-devops).
_SIGN_IN_PAGE = 203


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonApiAddress:
    """Where a service is, and what the app uses there."""

    #: Without a final slash.
    url: str
    #: Sent with each request, with the version of the API.
    headers: Mapping[str, str]
    #: Organizations or repositories.
    scopes: tuple[str, ...]


class HttpJsonApi(JsonApi):
    """`JsonApi` over HTTPS."""

    def __init__(self, http: HttpClient, service: HttpService, address: JsonApiAddress) -> None:
        """Use the credential of `service`."""
        self._http = http
        self._service = service
        self._address = address

    async def read_scopes(self) -> Sequence[str]:
        """Return the configured organizations or repositories, without a request."""
        return self._address.scopes

    async def list(
        self, path: str, query: Mapping[str, str] | None = None, *, member: str = ""
    ) -> builtins.list[Mapping[str, object]]:
        """Return all items of a list, page by page."""
        first = self._request("GET", path)
        url, params = first.url, dict(query or {})
        found, read = list[Mapping[str, object]](), set[str]()
        while True:
            answer = await self._send(replace(first, url=url, params=params))
            found += map(as_mapping, self._read_items(answer, member))
            if position := answer.headers.get(_POSITION):
                check_unread(self._service, position, read)
                params["continuationToken"] = position
            elif following := _NEXT.search(answer.headers.get("Link", "")):
                check_unread(self._service, following["url"], read)
                check_next(self._service, first.url, following["url"])
                url, params = following["url"], {}
            else:
                return found

    async def get(self, path: str) -> Mapping[str, object]:
        """Return a document."""
        return read_object(self._service, await self._send(self._request("GET", path)))

    async def put(self, path: str, body: Mapping[str, object]) -> None:
        """Replace a document."""
        await self._send(self._request("PUT", path, body))

    async def patch(self, path: str, body: Mapping[str, object]) -> None:
        """Change members of a document."""
        await self._send(self._request("PATCH", path, body))

    def _request(self, method: str, path: str, body: object = None) -> ServiceRequest:
        url, headers = f"{self._address.url}/{path}", self._address.headers
        return ServiceRequest(method=method, url=url, headers=headers, body=body)

    async def _send(self, call: ServiceRequest) -> ServiceResponse:
        """Send a request. A service that does not know the app concerns nothing else, so a
        rejected token is a `PlatformError`.
        """
        try:
            answer = await self._http.send(self._service, call)
        except TokenRejected as err:
            raise PlatformError(str(err), code=err.code, status=401) from err
        if answer.status == _SIGN_IN_PAGE:
            text = f"{self._service.name}: its sign-in page, because it rejects the token"
            raise PlatformError(text, code=f"Http{_SIGN_IN_PAGE}", status=401)
        return answer

    def _read_items(self, answer: ServiceResponse, member: str) -> builtins.list[object]:
        try:
            found = parse_json_value(answer.body.decode(json.detect_encoding(answer.body)))
        except ValueError:
            raise ServiceUnavailable(f"{self._service.name}: the response is not JSON") from None
        items = as_mapping(found).get(member) if member else found
        if not isinstance(items, list):
            raise ServiceUnavailable(f"{self._service.name}: no list in the response")
        return items
