"""Read and write JSON documents of services outside Azure that contain callers, such as Azure
DevOps.
"""

import builtins
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    ServiceResponse,
    note_new_page_url,
    parse_object,
    require_next_page_on_service,
)
from shared.domain.definitions.json_values import as_mapping, parse_json_value, text_at
from shared.errors import PlatformError, ServiceUnavailable, TokenRejected
from shared.ports import JsonApi, JsonService
from shared.settings import Settings

#: The end of the year 9999: only the service knows when such a token expires.
_NEVER = 253_402_300_799


class FixedToken(AsyncTokenCredential):
    """A credential that returns the same token for every scope."""

    def __init__(self, token: str) -> None:
        """`token` is never logged."""
        self._token = token

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ARG002
        """Return the token."""
        return AccessToken(self._token, _NEVER)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


#: The next page in a `Link` header (RFC 8288), as GitHub sends it.
_NEXT = re.compile(r'<(?P<url>[^>]+)>\s*;\s*rel="next"')
#: The member with the URL of the next page, as SharePoint sends it.
_NEXT_MEMBER = "odata.nextLink"
#: The header of Azure DevOps with the position of the next page.
_POSITION = "x-ms-continuationtoken"
#: Azure DevOps may answer so instead of 401 (platform.md#azure-devops).
_SIGN_IN_PAGE = 203


class HttpJsonApi(JsonApi):
    """Implements the port `JsonApi` over HTTPS."""

    def __init__(
        self, http: HttpClient, credential: AsyncTokenCredential | None, settings: Settings
    ) -> None:
        """Use `credential` for each service without a configured token."""
        self._http = http
        self._credential = credential
        self._settings = settings
        #: By name and host.
        self._services: dict[tuple[str, str], HttpService] = {}

    async def read_scopes(self, service: JsonService) -> Sequence[str]:
        return service.scopes(self._settings)

    async def list(
        self,
        service: JsonService,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        member: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> builtins.list[Mapping[str, object]]:
        first = _build_read_request(service, path, arguments)
        http = self._get_http_service(service, first.url)
        call = replace(first, params=dict(query or {}))
        found, read = list[Mapping[str, object]](), set[str]()
        while True:
            answer = await self._send_request(http, call)
            document = _parse_json(http, answer)
            found += map(as_mapping, _get_items(http, document, member))
            if position := answer.headers.get(_POSITION):
                note_new_page_url(http, position, read)
                call = replace(call, params={**call.params, "continuationToken": position})
            elif following := _find_next_url(answer, document):
                note_new_page_url(http, following, read)
                require_next_page_on_service(http, first.url, following)
                call = replace(call, url=following, params={})
            else:
                return found

    async def get(
        self, service: JsonService, path: str, arguments: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        call = _build_read_request(service, path, arguments)
        http = self._get_http_service(service, call.url)
        return parse_object(http, await self._send_request(http, call))

    async def put(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        await self._send_write("PUT", service, path, body)

    async def patch(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        await self._send_write("PATCH", service, path, body)

    async def _send_write(
        self, method: str, service: JsonService, path: str, body: Mapping[str, object]
    ) -> None:
        url = _build_url(service, path)
        call = ServiceRequest(method=method, url=url, headers=service.headers, body=body)
        await self._send_request(self._get_http_service(service, url), call)

    def _get_http_service(self, service: JsonService, url: str) -> HttpService:
        host = urlsplit(url).hostname or ""
        if (service.name, host) not in self._services:
            token = service.token
            self._services[service.name, host] = HttpService(
                name=service.name,
                scope=f"{service.audience or f'https://{host}'}/.default",
                credential=FixedToken(token(self._settings)) if token else self._credential,
            )
        return self._services[service.name, host]

    async def _send_request(self, http: HttpService, call: ServiceRequest) -> ServiceResponse:
        """Send a request.

        If the service rejects the token, raises `PlatformError` instead of `TokenRejected`, because
        only this service is affected.
        """
        try:
            answer = await self._http.send(http, call)
        except TokenRejected as err:
            raise PlatformError(str(err), code=err.code, status=401) from err
        if answer.status == _SIGN_IN_PAGE:
            text = f"{http.name}: its sign-in page, because it rejects the token"
            raise PlatformError(text, code=f"Http{_SIGN_IN_PAGE}", status=401)
        return answer


def _build_url(service: JsonService, path: str) -> str:
    return f"{service.url}/{path}" if service.url else f"https://{path}"


def _build_read_request(
    service: JsonService, path: str, arguments: Mapping[str, str] | None
) -> ServiceRequest:
    return ServiceRequest(
        method="GET" if arguments is None else "POST",
        url=_build_url(service, path),
        headers=service.headers,
        body=arguments,
        is_repeatable=True,
    )


def _parse_json(http: HttpService, answer: ServiceResponse) -> object:
    try:
        return parse_json_value(answer.body.decode(json.detect_encoding(answer.body)))
    except ValueError:
        raise ServiceUnavailable(f"{http.name}: the response is not JSON") from None


def _get_items(http: HttpService, document: object, member: str) -> builtins.list[object]:
    items = as_mapping(document).get(member) if member else document
    if not isinstance(items, list):
        raise ServiceUnavailable(f"{http.name}: no list in the response")
    return items


def _find_next_url(answer: ServiceResponse, document: object) -> str:
    if linked := _NEXT.search(answer.headers.get("Link", "")):
        return linked["url"]
    return text_at(as_mapping(document), _NEXT_MEMBER) or ""
