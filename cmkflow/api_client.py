"""Send requests to the app's HTTP API (docs/http-api.md)."""

import http.client
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cmkflow.sign_in import SignInError, request_token
from cmkflow.terminal import echo, remove_line_breaks
from shared.domain.ids import is_identifier
from shared.domain.trigger_urls.trigger_url import redact

_SECONDS = 60
#: Page size: the maximum of the API.
_MOST = 500
#: Seconds without an answer after which a message is printed.
_SILENCE = 10.0
#: Longest value that an error repeats.
_LONGEST_VALUE = 200
_IDS = "List the ids: cmkflow environment list, cmkflow remediation list."
_KEY_HEADER = "x-functions-key"
_NOT_SIGNED_IN = (
    "You are not signed in. Sign in: cmkflow login. Or, if CMK_FUNCTION_KEY_ROLES gives the "
    "function key a role, set CMKFLOW_KEY or --key (`az functionapp keys list`)."
)
#: Redirects of App Service for requests that are not signed in.
_SIGN_IN = re.compile(r"/\.auth/login/|://login\.(microsoftonline|windows)\.")


class ExitCode(IntEnum):
    """The exit code of a command, for scripts. docs/command-line.md explains each."""

    ERROR = 1
    USAGE_ERROR = 2
    NOT_FOUND = 3
    ACTION_REQUIRED = 4  #: an action is required first; the text names it
    SERVICE_UNAVAILABLE = 5
    FOUND = 6  #: a result that an option such as `--fail-on` names
    INTERRUPTED = 130


class ApiError(Exception):
    """A command cannot do its work. The text says why."""

    def __init__(self, text: str, exit_code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(text)
        self.exit_code = exit_code


#: Exit codes by HTTP status.
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
    """A request to the API that `ApiClient` can send."""

    method: str
    #: Path segments after `/api/`, such as `remediations`, an id, `plan`.
    path: tuple[str, ...]
    #: Parameters with the value None are omitted.
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Timeout in seconds.
    seconds: float = _SECONDS
    #: False to send neither the function key nor a token.
    needs_sign_in: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiClient:
    """Sends requests to the HTTP API of one app."""

    #: URL of the app (`https://APP.azurewebsites.net`), with or without `/api`.
    url: str
    #: Function key; empty to use the sign-in of `cmkflow login`.
    key: str = field(default="", repr=False)
    #: True to print each request and its id on stderr, without secrets.
    is_debug: bool = False

    def send(self, call: ApiCall) -> Any:
        """Send a request and return the parsed JSON response. Raises `ApiError` if that fails."""
        content = self._send_request(call)
        try:
            return json.loads(content)
        except ValueError:
            raise self._build_unexpected_answer_error("JSON") from None

    def list_items(self, *path: str) -> list[Any]:
        """Return the items of all pages of a list. Raises `ApiError` if a request fails."""
        found: list[Any] = []
        after = None
        while after != "":
            query = {"limit": _MOST, "after": after}
            page = self.send(ApiCall(method="GET", path=path, query=query))
            found += page["items"]
            after = page["next"]
        return found

    def download_page(self, call: ApiCall) -> str:
        """Return a page of the dashboard as HTML. Raises `ApiError` if that fails."""
        text = self._send_request(replace(call, headers={**call.headers, "Accept": "text/html"}))
        page = text.decode(errors="replace")
        if not page.startswith("<!doctype html>"):
            raise self._build_unexpected_answer_error("a page of the dashboard")
        return page

    def download_file(self, call: ApiCall, media_type: str) -> bytes:
        """Download a file. Raises `ApiError` if that fails."""
        return self._send_request(replace(call, headers={**call.headers, "Accept": media_type}))

    def _send_request(self, call: ApiCall) -> bytes:
        request = self._build_request(call)
        began = time.monotonic()
        try:
            # Redirects are not followed, because the key is sent with the request.
            with (
                self._report_slow_answer(call.seconds),
                build_opener(_NoRedirect).open(request, timeout=call.seconds) as answer,
            ):
                content: bytes = answer.read()
                self._print_debug_line(request, f"{answer.status}, {len(content):,} bytes", began)
                return content
        except HTTPError as err:
            self._print_debug_line(request, str(err.code), began)
            with err:
                raise _build_api_error(err, call.body) from None
        except KeyboardInterrupt:
            if call.method == "GET":
                raise
            raise ApiError(
                "Interrupted. It is unknown whether the app received the request. Check: "
                "cmkflow audit list --limit 1",
                ExitCode.INTERRUPTED,
            ) from None
        except (URLError, http.client.HTTPException, OSError) as err:
            text = self._format_unreachable_app(getattr(err, "reason", err))
            raise ApiError(text, ExitCode.SERVICE_UNAVAILABLE) from None
        except ValueError:  # the exception may quote the key
            raise ApiError(
                "CMKFLOW_API (--api) or CMKFLOW_KEY (--key) contains characters that are not "
                "allowed. Check both values.",
                ExitCode.USAGE_ERROR,
            ) from None

    @contextmanager
    def _report_slow_answer(self, seconds: float) -> Iterator[None]:
        text = (
            f"{self._host} has not answered for {_SILENCE:.0f} s. The timeout is {seconds:.0f} s."
        )
        said = threading.Timer(_SILENCE, echo, (text,), {"err": True})
        said.daemon = True
        said.start()
        try:
            yield
        finally:
            said.cancel()

    def _print_debug_line(self, request: Request, result: str, began: float) -> None:
        if self.is_debug:
            path = urlsplit(request.full_url).path
            milliseconds = (time.monotonic() - began) * 1000
            identity = str(request.get_header("Traceparent")).split("-")[1]
            text = f"debug: {request.get_method()} {path} {result}, {milliseconds:.0f} ms"
            echo(f"{text}, request {identity}", err=True)

    def _build_unexpected_answer_error(self, what: str) -> ApiError:
        return ApiError(
            f"The answer of {self._host} is not {what}. Check that CMKFLOW_API (--api) is the "
            "address of the app."
        )

    def _build_request(self, call: ApiCall) -> Request:
        self.require_encrypted_address()
        # An empty id would select the list, and `..` another resource.
        if wrong := [part for part in call.path if not is_identifier(part)]:
            text = f"{wrong[0]!r} is not a valid id: use 1 to 80 letters, digits and dashes."
            raise ApiError(f"{text} {_IDS}", ExitCode.USAGE_ERROR)
        base = self.url.rstrip("/").removesuffix("/api")
        path = "/".join(call.path)
        query = urlencode({name: value for name, value in call.query.items() if value is not None})
        headers = {
            "Accept": "application/json",
            # w3.org/TR/trace-context: its trace id identifies the request in the app's logs.
            "Traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
            **(self._build_credentials() if call.needs_sign_in else {}),
            **call.headers,
        }
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

    def _build_credentials(self) -> dict[str, str]:
        try:
            token = request_token(self.url)
        except SignInError as err:
            raise ApiError(str(err), ExitCode.ACTION_REQUIRED) from None
        key = {_KEY_HEADER: self.key} if self.key else {}
        return key | ({"Authorization": f"Bearer {token}"} if token else {})

    def require_encrypted_address(self) -> None:
        """Raise `ApiError` if the URL is not valid, or uses `http` to reach another machine."""
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not self.url:
            raise ApiError(
                "No app is set. Sign in: cmkflow login https://APP.azurewebsites.net. Or set "
                "CMKFLOW_API or --api.",
                ExitCode.USAGE_ERROR,
            )
        if not host or parts.scheme not in ("http", "https"):
            raise ApiError(
                f"{self.url!r} is not a valid URL. Set CMKFLOW_API or --api to the app's URL, "
                "such as https://APP.azurewebsites.net.",
                ExitCode.USAGE_ERROR,
            )
        if parts.scheme == "http" and not _is_loopback(host):
            raise ApiError(
                f"The key or token would be sent to {host} without encryption. Set CMKFLOW_API "
                f"or --api to https://{parts.netloc}; http:// is allowed only for this machine.",
                ExitCode.USAGE_ERROR,
            )

    def _format_unreachable_app(self, reason: object) -> str:
        return (
            f"Cannot connect to {self._host}: {reason}. Check CMKFLOW_API (--api) and "
            "that the app runs. HTTPS_PROXY sets a proxy."
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
    """Treats redirects as errors, so that the key is not sent to another host."""

    def redirect_request(self, *_args: object, **_options: object) -> None:
        """Return None, which prevents the redirect."""


def _build_api_error(err: HTTPError, body: Mapping[str, object] | None) -> ApiError:
    there = err.headers.get("Location", "elsewhere")
    if err.code == 401 or (300 <= err.code < 400 and _SIGN_IN.search(there)):
        return ApiError(_NOT_SIGNED_IN, ExitCode.ACTION_REQUIRED)
    if 300 <= err.code < 400:
        return ApiError(f"The app has moved to {there}. Set CMKFLOW_API or --api to that URL.")
    try:
        problem = remove_line_breaks(json.load(err))
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        hint = "Check that CMKFLOW_API (--api) is the address of the app."
        return ApiError(f"The answer was {err.code} {err.reason}. {hint}")
    wrong = [
        f"  {_format_wrong_member(one['field'], body)}: {one['message']}"
        for one in problem.get("errors", ())
    ]
    code = f" ({problem['reason_code']})" if problem.get("reason_code") else ""
    lines = [f"{problem['title']}{code}: {problem['detail']}", *wrong, problem.get("fix")]
    text = "\n".join(line for line in lines if line)
    return ApiError(text, _EXIT_CODES.get(err.code, ExitCode.ERROR))


def _format_wrong_member(field_path: str, body: object) -> str:
    found = body
    for part in field_path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal():
            found = found[int(part)] if int(part) < len(found) else None
        else:
            found = None
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_VALUE:
        return field_path or "body"
    return f"{field_path} ({remove_line_breaks(redact(found))})"
