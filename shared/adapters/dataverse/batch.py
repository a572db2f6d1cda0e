"""Dataverse's `$batch`: many reads in one call (Microsoft: "Execute batch operations").

Written and read as `multipart/mixed` with an HTTP message in each part. Each read has an answer of
its own; they come in the order of the reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from azure.core.utils import CaseInsensitiveDict

from shared.adapters.http.client import Call

_END = "\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The answer to one read."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def batch_call(url: str, reads: Sequence[Call]) -> Call:
    """Return one call, to `…/$batch`, for all these reads; their addresses are absolute."""
    boundary = f"batch_{uuid4()}"
    lines = [line for read in reads for line in _written(boundary, read)]
    return Call(
        method="POST",
        url=url,
        headers={
            "Content-Type": f"multipart/mixed; boundary={boundary}",
            "Prefer": "odata.continue-on-error",  # a refusal would end it
        },
        content=_END.join([*lines, f"--{boundary}--", ""]).encode(),
        is_repeatable=True,
    )


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """Return the answers of a batch; raises `ValueError` for what is none."""
    head = f"Content-Type: {content_type}{_END}{_END}".encode()
    message = BytesParser().parsebytes(head + body)
    if message.defects or not message.is_multipart():
        raise ValueError("it is no multipart message")
    _, *parts = message.walk()
    return [_read(part.get_payload(decode=True)) for part in parts]


def _written(boundary: str, read: Call) -> list[str]:
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


def _read(message: object) -> Part:
    if not isinstance(message, bytes):
        raise ValueError("a part of it holds no message")
    head, _, body = message.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    _, status, *_ = line.split(b" ")
    headers = BytesParser().parsebytes(fields)
    return Part(status=int(status), headers=CaseInsensitiveDict(headers.items()), body=body)
