"""Define the error with which every service of the tenant rejects a request.

See platform.md#error-body.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class SimulatedPlatformError(Exception):
    """The rejection of a request. It may have headers and further members."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.extra = extra

    def build_body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, **self.extra}}


class InvalidQueryError(SimulatedPlatformError):
    """A query option is not supported. Each service reports this with its own code."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "InvalidQueryParameter", message)


async def render_platform_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, SimulatedPlatformError)
    return JSONResponse(error.build_body(), status_code=error.status, headers=error.headers)
