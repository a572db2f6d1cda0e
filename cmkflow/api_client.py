"""Calls the app's HTTP API (docs/http-api.md) for the commands, with the standard library only.

A problem document becomes an `ApiError` whose text says what went wrong and what to do next.
"""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cmkflow.sign_in import SignInError, token_for
from cmkflow.terminal import echo, one_line
from shared.domain.identifiers import is_identifier

_SECONDS = 60
#: Items of a page: as many as the API lists at once.
_MOST = 500
#: Whoever waits longer is told so.
_SILENCE = 10.0
_IDS = "cmkflow environment list and cmkflow remediation list say which there are."
_KEY_HEADER = "x-functions-key"
_NOBODY = (
    "The app does not know who calls. Sign in: cmkflow login. Or, where CMK_FUNCTION_KEY_ROLES "
    "lets the function key in, set CMKFLOW_KEY or --key (`az functionapp keys list`)."
)
#: Where App Service sends those who are not signed in.
_SIGN_IN = re.compile(r"/\.auth/login/|://login\.(microsoftonline|windows)\.")


class ExitCode(IntEnum):
    """How a command ends, for scripts: docs/command-line.md."""

    ERROR = 1
    USAGE_ERROR = 2
    NOT_FOUND = 3
    ACTION_REQUIRED = 4  #: something has to be done first; the text says what
    SERVICE_UNAVAILABLE = 5
    FOUND = 6  #: what an option such as `--fail-on` names
    INTERRUPTED = 130


class ApiError(Exception):
    """The API did not do what was asked; the text is for the person who asked."""

    def __init__(self, text: str, exit_code: ExitCode = ExitCode.ERROR) -> None:
        """`exit_code` is for scripts."""
        super().__init__(text)
        self.exit_code = exit_code


#: By the status of the answer.
_EXIT_CODES = {
    400: ExitCode.USAGE_ERROR,
    403: ExitCode.ACTION_REQUIRED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.ACTION_REQUIRED,
    412: ExitCode.ACTION_REQUIRED,
    429: ExitCode.SERVICE_UNAVAILABLE,
    502: ExitCode.SERVICE_UNAVAILABLE,
    503: ExitCode.SERVICE_UNAVAILABLE,
    504: ExitCode.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
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
class ApiClient:
    """Where the app answers."""

    #: Address of the app (`https://APP.azurewebsites.net`), with or without `/api`.
    url: str
    #: Function key; empty: whoever signed in calls (`cmkflow login`).
    key: str = field(default="", repr=False)

    def send(self, call: ApiCall) -> Any:
        """Return the answer's JSON document; raises `ApiError`."""
        content = self._answer(call)
        try:
            return json.loads(content)
        except ValueError:
            raise self._stranger("JSON") from None

    def items(self, *path: str) -> list[Any]:
        """Return the items of a list, page after page; raises `ApiError`."""
        found: list[Any] = []
        after = None
        while after != "":
            query = {"limit": _MOST, "after": after}
            page = self.send(ApiCall(method="GET", path=path, query=query))
            found += page["items"]
            after = page["next"]
        return found

    def page(self, call: ApiCall) -> str:
        """Return the answer as a page that a browser shows; raises `ApiError`."""
        text = self._answer(replace(call, headers={**call.headers, "Accept": "text/html"}))
        page = text.decode(errors="replace")
        if not page.startswith("<!doctype html>"):
            raise self._stranger("a page of its own")
        return page

    def file(self, call: ApiCall, media_type: str) -> bytes:
        """Return the answer as a file of this type; raises `ApiError`."""
        return self._answer(replace(call, headers={**call.headers, "Accept": media_type}))

    def _answer(self, call: ApiCall) -> bytes:
        request = self._request(call)
        try:
            # No other answer than the app's own is followed: the key goes with the request.
            with (
                self._patience(call.seconds),
                build_opener(_NoRedirect).open(request, timeout=call.seconds) as answer,
            ):
                content: bytes = answer.read()
                return content
        except HTTPError as err:
            with err:
                raise _refusal(err) from None
        except (URLError, http.client.HTTPException, OSError) as err:
            text = self._unreachable(getattr(err, "reason", err))
            raise ApiError(text, ExitCode.SERVICE_UNAVAILABLE) from None
        except ValueError:  # it may quote the key
            raise ApiError(
                "No call can carry CMKFLOW_API (--api) or CMKFLOW_KEY (--key) as it is: an address "
                "or a key has no such characters.",
                ExitCode.USAGE_ERROR,
            ) from None

    @contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        """Say after a while that the app has not answered yet, and for how long it is awaited."""
        text = (
            f"{self._host} has not answered for {_SILENCE:.0f} s; waiting {seconds:.0f} s in all …"
        )
        said = threading.Timer(_SILENCE, echo, (text,), {"err": True})
        said.daemon = True
        said.start()
        try:
            yield
        finally:
            said.cancel()

    def _stranger(self, what: str) -> ApiError:
        return ApiError(
            f"{self._host} answers, but not with {what}: is CMKFLOW_API (--api) the address of "
            "the remediation app?"
        )

    def _request(self, call: ApiCall) -> Request:
        self.check_address()
        # An empty id would lead to the list, and `..` elsewhere.
        if wrong := [part for part in call.path if not is_identifier(part)]:
            text = f"An id is 1 to 80 letters, digits and dashes, not {wrong[0]!r}."
            raise ApiError(f"{text} {_IDS}", ExitCode.USAGE_ERROR)
        base = self.url.rstrip("/").removesuffix("/api")
        path = "/".join(call.path)
        query = urlencode({name: value for name, value in call.query.items() if value is not None})
        headers = {"Accept": "application/json", **self._credentials(), **call.headers}
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

    def _credentials(self) -> dict[str, str]:
        """Return the headers that say who calls: the key, a token, or both where both count."""
        try:
            token = token_for(self.url)
        except SignInError as err:
            raise ApiError(str(err), ExitCode.ACTION_REQUIRED) from None
        key = {_KEY_HEADER: self.key} if self.key else {}
        return key | ({"Authorization": f"Bearer {token}"} if token else {})

    def check_address(self) -> None:
        """Raise `ApiError` where neither key nor token can go: they start orders of the API."""
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https"):
            raise ApiError(
                f"{self.url!r} is no address. Set CMKFLOW_API or --api to the app's, such as "
                "https://APP.azurewebsites.net.",
                ExitCode.USAGE_ERROR,
            )
        if parts.scheme == "http" and not _is_loopback(host):
            raise ApiError(
                f"Key or token would go to {host} for everybody between to read. Set CMKFLOW_API "
                f"or --api to https://{parts.netloc}; http:// is for this machine alone.",
                ExitCode.USAGE_ERROR,
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


def _refusal(err: HTTPError) -> ApiError:
    there = err.headers.get("Location", "elsewhere")
    if err.code == 401 or (300 <= err.code < 400 and _SIGN_IN.search(there)):
        return ApiError(_NOBODY, ExitCode.ACTION_REQUIRED)
    if 300 <= err.code < 400:
        return ApiError(f"The app is not here but at {there}: set CMKFLOW_API or --api to that.")
    try:
        problem = one_line(json.load(err))
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        hint = "Is CMKFLOW_API (--api) the address of the remediation app?"
        return ApiError(f"The answer is {err.code} {err.reason}. {hint}")
    wrong = [f"  {one['field'] or 'body'}: {one['message']}" for one in problem.get("errors", ())]
    code = f" ({problem['code']})" if problem.get("code") else ""
    lines = [f"{problem['title']}{code}: {problem['detail']}", *wrong, problem.get("instruction")]
    text = "\n".join(line for line in lines if line)
    return ApiError(text, _EXIT_CODES.get(err.code, ExitCode.ERROR))
