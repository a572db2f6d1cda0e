"""API: the OpenAPI document of this API."""

import json

import azure.functions as func

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from shared.bootstrap import services
from shared.domain.principal import Role

#: Media type registered at iana.org/assignments/media-types.
OPENAPI = "application/vnd.oai.openapi+json"


@endpoint(role=Role.READER, media_types=(OPENAPI,))
async def show_openapi(_call: ApiRequest[NoQuery, NoBody]) -> func.HttpResponse:
    """Return the OpenAPI document of this API."""
    # Imported here because most instances never need it, and it slows down the start.
    from functions.openapi import FUNCTION_KEY, SIGN_IN, build_openapi_document

    settings = services().settings
    schemes = {
        SIGN_IN: settings.has_app_service_authentication,
        FUNCTION_KEY: bool(settings.function_key_roles),
    }
    document = build_openapi_document(frozenset(name for name, counts in schemes.items() if counts))
    return func.HttpResponse(json.dumps(document), mimetype=OPENAPI)
