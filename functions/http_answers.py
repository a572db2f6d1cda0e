"""Answers requests: what a handler returns as JSON or as a page."""

from collections.abc import Mapping

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from shared.domain.trigger_urls.trigger_url import redact

#: What `default-src` does not cover is named: no base, no form, no frame around it.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Answer(BaseModel):
    """What an answer says, read from the product's own objects. Only what is named gets out."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)


class ItemList[T: Answer](Answer):
    """A list, as an object so that more can be said beside it."""

    items: tuple[T, ...]


def ok(
    answer: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return an answer as JSON. Trigger URLs in texts are redacted, should one have got there."""
    return func.HttpResponse(
        redact(answer.model_dump_json()),
        status_code=status,
        mimetype="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def page(text: str) -> func.HttpResponse:
    """Return a page that brings all it needs with it: nothing is loaded, no script runs."""
    return func.HttpResponse(
        text,
        mimetype="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",  # the address may carry the function key
            "X-Content-Type-Options": "nosniff",
        },
    )
