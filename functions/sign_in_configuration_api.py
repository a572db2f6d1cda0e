"""API: how programs sign in to this app."""

from functions.endpoints import ANYONE, ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from shared.bootstrap import services
from shared.domain.clouds import CloudName


class SignInConfigurationResponse(ApiResponse):
    """What a program needs to request an access token from Entra."""

    tenant_id: str
    #: Client id of the app registration; empty: nobody can sign in to this app.
    client_id: str
    #: Audience of the access token. A program requests the scope `AUDIENCE/.default`.
    audience: str
    #: The cloud whose Entra issues the tokens.
    cloud: CloudName


@endpoint(role=ANYONE)
async def show_sign_in_configuration(
    _call: ApiRequest[NoQuery, NoBody],
) -> SignInConfigurationResponse:
    """Return how programs sign in to this app. Needs no sign-in, and contains no secret."""
    settings = services().settings
    client_id = settings.sign_in_client_id if settings.has_app_service_authentication else ""
    return SignInConfigurationResponse(
        tenant_id=settings.tenant_id,
        client_id=client_id,
        # An app registration that requests a token for itself may name only its client id.
        audience=client_id,
        cloud=settings.cloud_name,
    )
