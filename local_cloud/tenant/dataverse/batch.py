"""Serve Dataverse's `$batch`: several operations in one request, each with its own response.

Microsoft's page "Execute batch operations using the Web API" documents the format:
`multipart/mixed` with CRLF, at most 1,000 operations, no nested batch, in order. The first error
ends the batch, unless `Prefer: odata.continue-on-error` is sent. Change sets are rejected.
"""

from dataclasses import dataclass
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import IN_BATCH
from local_cloud.tenant.dataverse.access import require_actor

MOST = 1000
#: Characters of the address of one operation.
LONGEST = 65_536
#: Headers of the batch that hold for each of its operations.
_INHERITED = (b"host", b"authorization", b"callerobjectid", b"mscrmcallerid", b"odata-version")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def run_batch(request: Request) -> Response:
    require_actor(request)
    scopes = [_build_scope(request, part) for part in _split_parts(request, await request.body())]
    goes_on = "odata.continue-on-error" in request.headers.get("Prefer", "")
    answers: list[_Answer] = []
    for scope, body in scopes:
        answers.append(await _perform_request(request, scope, body))
        if answers[-1].status >= 400 and not goes_on:
            break
    boundary = f"batchresponse_{uuid4()}"
    content = b"".join(_format_answer(boundary, answer) for answer in answers)
    return Response(
        content + f"--{boundary}--\r\n".encode(),
        status_code=200 if goes_on else answers[-1].status,
        headers={"OData-Version": "4.0"},
        media_type=f"multipart/mixed; boundary={boundary}",
    )


def _split_parts(request: Request, body: bytes) -> list[bytes]:
    kind = request.headers.get("Content-Type", "")
    if b"\n" in body.replace(b"\r\n", b""):
        raise _build_batch_error("The line ends of a batch are CRLF.")
    parsed = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    if parsed.get_content_type() != "multipart/mixed" or parsed.defects:
        raise _build_batch_error("The message is no multipart/mixed content with a boundary.")
    parts = [_find_operation(part) for part in parsed.iter_parts()]
    if not 0 < len(parts) <= MOST:
        raise _build_batch_error(f"A batch has 1 to {MOST} operations; this one has {len(parts)}.")
    return parts


def _find_operation(part: MIMEPart) -> bytes:
    kind, coding = part.get_content_type(), part.get("Content-Transfer-Encoding", "")
    if (kind, coding) != ("application/http", "binary"):
        raise _build_batch_error(f"A part of the batch is no binary application/http, but {kind}.")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def _build_scope(request: Request, operation: bytes) -> tuple[Scope, bytes]:
    """Return an operation as a separate request."""
    head, ends, body = operation.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not ends:
        raise _build_batch_error(f"'{line}' does not begin an operation.")
    method, target, _ = words
    if len(target) > LONGEST:
        raise _build_batch_error("The address of an operation is too long.")
    base = request.url.path.rpartition("/")[0]
    url = urlsplit(target if target.startswith(("https://", "/")) else f"{base}/{target}")
    if url.netloc not in ("", request.headers["Host"]) or url.path.endswith("/$batch"):
        raise _build_batch_error(f"A batch cannot have an operation on '{target}'.")
    own = [
        (name.strip().lower().encode(), value.strip().encode())
        for name, _, value in (one.partition(":") for one in fields)
    ]
    named = {name for name, _ in own}
    of_all = [one for one in request.scope["headers"] if one[0] in _INHERITED]
    scope = {
        **{key: value for key, value in request.scope.items() if key not in ("state", "endpoint")},
        "method": method,
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "path_params": {},
        "headers": [*own, *(one for one in of_all if one[0] not in named)],
        IN_BATCH: True,
    }
    return scope, body


async def _perform_request(request: Request, scope: Scope, body: bytes) -> _Answer:
    app: ASGIApp = request.app
    sent: list[Message] = []
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return unread.pop() if unread else await request.receive()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    return _Answer(start["status"], start["headers"], b"".join(one["body"] for one in rest))


def _format_answer(boundary: str, answer: _Answer) -> bytes:
    status = HTTPStatus(answer.status)
    lines = [
        f"--{boundary}".encode(),
        b"Content-Type: application/http",
        b"Content-Transfer-Encoding: binary",
        b"",
        f"HTTP/1.1 {status.value} {status.phrase}".encode(),
        *(b": ".join(field) for field in answer.headers if field[0] != b"content-length"),
        b"",
        answer.body,
        b"",
    ]
    return b"\r\n".join(lines)


def _build_batch_error(message: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(400, "0x80048d19", f"Error identified in Payload: {message}")
