"""How every service of the tenant refuses a call: one exception, one envelope.

See platform.md#error-body.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class SimulatedPlatformError(Exception):
    """A refusal with its status, `error.code`, `error.message`, and perhaps headers or fields."""

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

    def body(self) -> dict[str, Any]:
        """The JSON that the platform answers with."""
        return {"error": {"code": self.code, "message": self.message, **self.extra}}


class InvalidQueryError(SimulatedPlatformError):
    """A query option that is not understood; each service answers it with a code of its own."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "InvalidQueryParameter", message)


async def render_platform_error(_: Request, error: Exception) -> Response:
    """The exception handler that each service's application installs."""
    assert isinstance(error, SimulatedPlatformError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)
