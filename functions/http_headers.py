"""Define the HTTP headers that endpoints use, with their descriptions."""

from typing import Any

IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
ETAG = "ETag"
LOCATION = "Location"
RETRY_AFTER = "Retry-After"
DIGEST = "Content-Digest"
LIVE_SECTIONS = "Live-Sections"

_TEXT = {"type": "string"}

#: Description and schema by name.
HEADERS: dict[str, dict[str, Any]] = {
    IDEMPOTENCY_KEY: {
        "description": "Requests with the same key start one remediation.",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"},
    },
    IF_MATCH: {
        "description": (
            "ETag of the item that you read. If the item has changed, the request changes nothing."
        ),
        "schema": _TEXT,
    },
    IF_NONE_MATCH: {
        "description": (
            "ETag of the item that you have. If the item has not changed, the response is 304."
        ),
        "schema": _TEXT,
    },
    ETAG: {"description": "Changes whenever the response changes.", "schema": _TEXT},
    LOCATION: {"description": "URL that returns the progress.", "schema": _TEXT},
    RETRY_AFTER: {
        "description": "Seconds to wait before the next request.",
        "schema": {"type": "integer"},
    },
    LIVE_SECTIONS: {
        "description": (
            "Hashes of the sections that the browser has, from `data-live`, separated by spaces. "
            "The response has the other sections, or is 204."
        ),
        "schema": _TEXT,
    },
    DIGEST: {"description": "SHA-256 of the file (RFC 9530).", "schema": _TEXT},
}


def matches_etag(header: str, etag: str, *, weakly: bool = False) -> bool:
    """Return whether an `If-Match` or `If-None-Match` header names an ETag. `weakly` also accepts a
    tag that a proxy marked as weak because it compressed the response (RFC 9110, 13.1).
    """
    tags = [one.strip() for one in header.split(",")]
    if weakly:
        tags = [one.removeprefix("W/") for one in tags]
    return tags == ["*"] or etag in tags
