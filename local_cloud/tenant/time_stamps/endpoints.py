"""Serve `tsa.contoso.example`, a time stamp authority over HTTP (RFC 3161, 3.4).

A query that is malformed or cannot be granted is answered with a rejection and status 200, as
public authorities do. A body with another media type, or one that is too long, is answered with an
HTTP error.
"""

from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.time_stamps.token_signer import TokenSigner

HOST = "tsa.contoso.example"
HOSTS = (HOST,)
OPTIONS: dict[str, tuple[str, ...]] = {}
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_LIMIT = 16 * 1024


def build_routes(tenant: Tenant) -> list[Route]:
    @cache
    def get_signer() -> TokenSigner:
        return TokenSigner("Contoso time stamps", tenant.clock.now())

    async def issue_time_stamp(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != _QUERY:
            raise SimulatedPlatformError(
                415, "UnsupportedMediaType", f"The media type has to be {_QUERY}."
            )
        query = await request.body()
        if len(query) > _LIMIT:
            raise SimulatedPlatformError(413, "TooLarge", f"A query has at most {_LIMIT} bytes.")
        return Response(get_signer().answer(query, tenant.clock.now()), media_type=_REPLY)

    async def show_root_certificate(_: Request) -> Response:
        return Response(get_signer().pem, media_type="application/x-pem-file")

    return [
        Route("/", issue_time_stamp, methods=["POST"]),
        Route("/root.pem", show_root_certificate, methods=["GET"]),
    ]
