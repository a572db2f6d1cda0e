"""Answers requests: what a handler returns as JSON, what it raises as a problem document."""

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from functions.problems import defect, problem_of
from shared.bootstrap import services
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import ProductError

log = logging.getLogger(__name__)

#: What `default-src` does not cover is named: no base, no form, no frame around it.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


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


def answers(handler: Handler) -> Handler:
    """Turn what a handler raises into the answer that says so."""

    @functools.wraps(handler)
    async def answering(req: func.HttpRequest) -> func.HttpResponse:
        # Without the query: it may carry the function key.
        instance = urlsplit(req.url).path
        try:
            return await _answered(handler, req, instance)
        except Exception:
            log.exception("defect while answering %s %s", req.method, instance)
            return defect(instance=instance)

    return answering


async def _answered(handler: Handler, req: func.HttpRequest, instance: str) -> func.HttpResponse:
    open_services = services()
    try:
        return await handler(req)
    except ProductError as err:
        response = problem_of(err, instance=instance, now=open_services.now)
        log.info("%s %s: %s", req.method, instance, err, extra={"status": response.status_code})
        return response
