"""Build HTTP responses: JSON, files and HTML pages."""

import base64
import hashlib
from collections.abc import Mapping

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from shared.domain.trigger_urls.trigger_url import redact

#: Directives that `default-src` does not cover are listed. A self-contained page allows its style
#: by the style's hash.
_POLICY = (
    "default-src 'none'; style-src {style}; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class ApiResponse(BaseModel):
    """Base of the models of responses, which are filled from objects with the same members.

    Only declared members are sent.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)


class ItemListResponse[T: ApiResponse](ApiResponse):
    """A list inside an object, so that later versions can add members beside it."""

    items: tuple[T, ...]


def format_json(answer: BaseModel) -> str:
    """Return a response as JSON, with trigger URLs redacted."""
    return redact(answer.model_dump_json())


def compute_etag(answer: BaseModel) -> str:
    """Return the ETag of a response, a hash of its JSON."""
    return f'"{hashlib.sha256(format_json(answer).encode()).hexdigest()[:32]}"'


def build_json_response(
    answer: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    return func.HttpResponse(
        format_json(answer),
        status_code=status,
        mimetype="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def build_download_response(content: bytes, media_type: str, name: str) -> func.HttpResponse:
    """Return a response that downloads a file, with its digest (RFC 9530)."""
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


def build_page_response(
    text: str, *, style: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return a response with an HTML page.

    The page loads only assets of this app, and no inline content but `style`. Its forms send the
    origin of the page, and links to other sites do not send its URL.
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
