"""Calls the app's HTTP API (docs/http-api.md) for the commands, with the standard library only.

A problem document becomes an `ApiError` whose text says what went wrong and what to do next.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cmkflow.terminal import one_line
from shared.domain.identifiers import is_identifier

_SECONDS = 60
_IDS = "cmkflow environment list and cmkflow remediation list say which there are."
_KEY_HEADER = "x-functions-key"
_NO_KEY = (
    "The function key is missing or wrong. Take it from the app (`az functionapp keys list`, or "
    "what the local host printed) and set CMKFLOW_KEY or --key."
)


class ApiError(Exception):
    """The API did not do what was asked; the text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the API."""

    method: str
    #: Parts of the path below `/api/`, such as `remediations`, an id, `plan`.
    path: tuple[str, ...]
    #: A value None is left out.
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: How long the app may take.
    seconds: float = _SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where the app answers."""

    #: Address of the app (`https://APP.azurewebsites.net`), with or without `/api`.
    url: str
    key: str = field(repr=False)

    def send(self, call: Call) -> Any:
        """Return the answer's JSON document; raises `ApiError`."""
        content = self._answer(call)
        try:
            return json.loads(content)
        except ValueError:
            raise self._stranger("JSON") from None

    def page(self, call: Call) -> str:
        """Return the answer as a page that a browser shows; raises `ApiError`."""
        text = self._answer(replace(call, headers={**call.headers, "Accept": "text/html"}))
        page = text.decode(errors="replace")
        if not page.startswith("<!doctype html>"):
            raise self._stranger("a page of its own")
        return page

    def _answer(self, call: Call) -> bytes:
        request = self._request(call)
        try:
            # No other answer than the app's own is followed: the key goes with the request.
            with build_opener(_NoRedirect).open(request, timeout=call.seconds) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as err:
            with err:
                raise ApiError(_refusal(err)) from None
        except (URLError, http.client.HTTPException, OSError) as err:
            raise ApiError(self._unreachable(getattr(err, "reason", err))) from None
        except ValueError:  # it may quote the key
            raise ApiError(
                "No call can carry CMKFLOW_API (--api) or CMKFLOW_KEY (--key) as it is: an address "
                "or a key has no such characters."
            ) from None

    def _stranger(self, what: str) -> ApiError:
        return ApiError(
            f"{self._host} answers, but not with {what}: is CMKFLOW_API (--api) the address of "
            "the remediation app?"
        )

    def _request(self, call: Call) -> Request:
        self._check_address()
        # An empty id would lead to the list, and `..` elsewhere.
        if wrong := [part for part in call.path if not is_identifier(part)]:
            text = f"An id is 1 to 80 letters, digits and dashes, not {wrong[0]!r}."
            raise ApiError(f"{text} {_IDS}")
        base = self.url.rstrip("/").removesuffix("/api")
        path = "/".join(call.path)
        query = urlencode({name: value for name, value in call.query.items() if value is not None})
        headers = {"Accept": "application/json", _KEY_HEADER: self.key, **call.headers}
        body = None
        if call.body is not None:
            body = json.dumps(call.body).encode()
            headers["Content-Type"] = "application/json"
        return Request(  # noqa: S310  # the scheme was checked above
            f"{base}/api/{path}" + (f"?{query}" if query else ""),
            data=body,
            headers=headers,
            method=call.method,
        )

    def _check_address(self) -> None:
        """Raise `ApiError` where the key cannot go: it would start every order of the API."""
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https"):
            raise ApiError(
                f"{self.url!r} is no address. Set CMKFLOW_API or --api to the app's, such as "
                "https://APP.azurewebsites.net."
            )
        if parts.scheme == "http" and not _is_loopback(host):
            raise ApiError(
                f"The key would go to {host} for everybody on the way to read. Set CMKFLOW_API or "
                f"--api to https://{parts.netloc}; http:// is for this machine alone."
            )

    def _unreachable(self, reason: object) -> str:
        return (
            f"{self._host} cannot be reached: {reason}. See that CMKFLOW_API (--api) is right and "
            "that the app runs; a proxy is taken from HTTPS_PROXY."
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc or self.url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(HTTPRedirectHandler):
    """Takes a redirection as an error, so that the key is sent to nobody else."""

    def redirect_request(self, *_args: object, **_options: object) -> None:
        """Return nothing: do not follow."""


def _refusal(err: HTTPError) -> str:
    if err.code == 401:
        return _NO_KEY
    if 300 <= err.code < 400:
        there = err.headers.get("Location", "elsewhere")
        return f"The app is not here but at {there}: set CMKFLOW_API or --api to that."
    try:
        problem = one_line(json.load(err))
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        hint = "Is CMKFLOW_API (--api) the address of the remediation app?"
        return f"The answer is {err.code} {err.reason}. {hint}"
    wrong = [f"  {one['field'] or 'body'}: {one['message']}" for one in problem.get("errors", ())]
    code = f" ({problem['code']})" if problem.get("code") else ""
    lines = [f"{problem['title']}{code}: {problem['detail']}", *wrong, problem.get("instruction")]
    return "\n".join(line for line in lines if line)
