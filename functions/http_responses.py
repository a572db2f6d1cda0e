"""Answers requests: what a handler returns as JSON or as a page."""

import base64
import hashlib
from collections.abc import Mapping

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from shared.domain.trigger_urls.trigger_url import redact

#: What `default-src` does not cover is named: no base, no frame around it. A page brings its style
#: with it where it is to be sent around: by its hash.
_POLICY = (
    "default-src 'none'; style-src {style}; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class ApiResponse(BaseModel):
    """What an answer says, read from the product's own objects. Only what is named gets out."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)


class ItemListResponse[T: ApiResponse](ApiResponse):
    """A list, as an object so that more can be said beside it."""

    items: tuple[T, ...]


def json_of(answer: BaseModel) -> str:
    """Return an answer as JSON. Trigger URLs in texts are redacted, should one have got there."""
    return redact(answer.model_dump_json())


def etag_of(answer: BaseModel) -> str:
    """Return the entity tag of an answer: it changes with anything that it says."""
    return f'"{hashlib.sha256(json_of(answer).encode()).hexdigest()[:32]}"'


def ok(
    answer: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return an answer as JSON."""
    return func.HttpResponse(
        json_of(answer),
        status_code=status,
        mimetype="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def download(content: bytes, media_type: str, name: str) -> func.HttpResponse:
    """Return a file, with the digest of it (RFC 9530) and a name for it."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return func.HttpResponse(
        content,
        mimetype=media_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Digest": f"sha-256=:{digest}:",
            "X-Content-Type-Options": "nosniff",
        },
    )


def page(
    text: str, *, style: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return a page; what it loads comes from this app alone, and nothing stands in it but `style`.

    A form of it is sent with the page's origin, but no address of it goes to anybody else.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return func.HttpResponse(
        text,
        status_code=status,
        mimetype="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY.format(
                style=f"'sha256-{digest}'" if style else "'self'"
            ),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            **(headers or {}),
        },
    )
