"""Headers that mean something to a route, as its OpenAPI document tells them."""

from typing import Any

IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
ETAG = "ETag"
LOCATION = "Location"
RETRY_AFTER = "Retry-After"
DIGEST = "Content-Digest"

_TEXT = {"type": "string"}

#: Description and schema by name.
HEADERS: dict[str, dict[str, Any]] = {
    IDEMPOTENCY_KEY: {
        "description": "The same key starts the same remediation.",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"},
    },
    IF_MATCH: {
        "description": "ETag of the item that was seen: nothing is changed if it is another one.",
        "schema": _TEXT,
    },
    IF_NONE_MATCH: {
        "description": "ETag of the item that is known: 304 if it is the same.",
        "schema": _TEXT,
    },
    ETAG: {"description": "Changes with the answer.", "schema": _TEXT},
    LOCATION: {"description": "Where to see how far it is.", "schema": _TEXT},
    RETRY_AFTER: {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    DIGEST: {"description": "SHA-256 of the file (RFC 9530).", "schema": _TEXT},
}


def fits(header: str, etag: str, *, weakly: bool = False) -> bool:
    """Say whether an `If-Match` or `If-None-Match` names this tag, or any.

    `weakly`: also one that a proxy has marked as weak, when it packed the answer (RFC 9110, 13.1).
    """
    tags = [one.strip() for one in header.split(",")]
    if weakly:
        tags = [one.removeprefix("W/") for one in tags]
    return tags == ["*"] or etag in tags
