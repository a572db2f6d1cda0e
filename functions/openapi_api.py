"""HTTP: what the API is, for programs that read it."""

import json

import azure.functions as func

from functions.endpoints import Call, endpoint
from functions.http_requests import NoBody, NoQuery
from shared.domain.principal import Role

#: Registered for it, as the version of its parameter: iana.org/assignments/media-types.
OPENAPI = "application/vnd.oai.openapi+json"
blueprint = func.Blueprint()


@endpoint(blueprint, "GET", "openapi.json", role=Role.READER, answer=None, media_types=(OPENAPI,))
async def show_openapi(_call: Call[NoQuery, NoBody]) -> func.HttpResponse:
    """Return the OpenAPI document of this API."""
    # The app starts without it: most instances are never asked.
    from functions.openapi import openapi_document

    return func.HttpResponse(json.dumps(openapi_document()), mimetype=OPENAPI)
