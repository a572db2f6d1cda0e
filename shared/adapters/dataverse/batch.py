"""Send many reads in one Dataverse `$batch` request (Microsoft: "Execute batch operations").

Requests and responses are `multipart/mixed` with an HTTP message in each part. The responses have
the order of the reads.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from azure.core.utils import CaseInsensitiveDict

from shared.adapters.http.client import ServiceRequest

_END = "\r\n"
_MULTIPART = re.compile(r'multipart/.*boundary="?(?P<boundary>[^";,\s]+)"?', re.IGNORECASE)
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResponsePart:
    """The response to one read of a batch."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def build_batch_request(url: str, reads: Sequence[ServiceRequest]) -> ServiceRequest:
    """Return a request to `…/$batch` for these reads. Their URLs have to be absolute."""
    boundary = f"batch_{uuid4()}"
    lines = [line for read in reads for line in _format_read(boundary, read)]
    return ServiceRequest(
        method="POST",
        url=url,
        headers={
            "Content-Type": f"multipart/mixed; boundary={boundary}",
            "Prefer": "odata.continue-on-error",  # an error would end the batch
        },
        content=_END.join([*lines, f"--{boundary}--", ""]).encode(),
        is_repeatable=True,
    )


def parse_batch_response(content_type: str, body: bytes) -> list[BatchResponsePart]:
    """Return the responses in a batch. Raises `ValueError` for invalid content."""
    named = _MULTIPART.match(content_type)
    if named is None:
        raise ValueError("not a multipart message")
    # Parsed without the `email` package, which would double the time of the request.
    _, *parts, end = (b"\r\n" + body).split(b"\r\n--" + named["boundary"].encode())
    if not end.startswith(b"--"):
        raise ValueError("the message is truncated")
    return [_parse_response_part(part) for part in parts]


def _format_read(boundary: str, read: ServiceRequest) -> list[str]:
    url = urlsplit(read.url)
    query = f"?{urlencode(read.params, quote_via=quote)}" if read.params else ""
    return [
        f"--{boundary}",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"{read.method} {url.path}{query} HTTP/1.1",
        "Accept: application/json",
        *(f"{name}: {value}" for name, value in read.headers.items()),
        "",
        "",
    ]


def _parse_response_part(part: bytes) -> BatchResponsePart:
    about, _, message = part.partition(b"\r\n\r\n")
    encoding = _parse_headers(about).get("Content-Transfer-Encoding", "binary")
    if encoding.lower() not in _AS_IT_IS:
        raise ValueError("a part is encoded")
    head, _, body = message.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    _, status, *_ = line.split(b" ")
    return BatchResponsePart(status=int(status), headers=_parse_headers(fields), body=body)


def _parse_headers(lines: bytes) -> Mapping[str, str]:
    named = (line.partition(":") for line in lines.decode("latin-1").split("\r\n") if line)
    return CaseInsensitiveDict((name.strip(), value.strip()) for name, _, value in named)
