"""Split lists into pages. `nextLink` contains the position of the next page."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request

from local_cloud.tenant.core.platform_error import InvalidQueryError, SimulatedPlatformError

#: Query parameter that holds the place of the next page.
TOKEN = "$skiptoken"


def select_page[Item](
    request: Request, items: Sequence[Item], size: int
) -> tuple[list[Item], str | None]:
    """Return the page that a request asks for, and the link to the next page or None."""
    start = parse_start(request)
    chosen = list(items[start : start + size])
    return chosen, build_next_link(request, start + size) if start + size < len(items) else None


def parse_start(request: Request) -> int:
    """Return the position in a request's skip token, or 0 without one."""
    token = request.query_params.get(TOKEN, "0")
    if not token.isdigit():
        raise SimulatedPlatformError(400, "InvalidSkipToken", "The skip token is not valid.")
    return int(token)


def build_next_link(request: Request, start: int) -> str:
    """Return the URL of a request with another position in its skip token."""
    host = request.headers["host"].removesuffix(":443")
    query = [(key, value) for key, value in request.query_params.multi_items() if key != TOKEN]
    return f"https://{host}{request.url.path}?{urlencode([*query, (TOKEN, str(start))])}"


def parse_top(request: Request, default: int) -> int:
    """Return `$top` of a request, at most the default. Rejects (400) an invalid one."""
    asked = request.query_params.get("$top", str(default))
    if not asked.isdecimal() or int(asked) < 1:
        raise InvalidQueryError(f"The query option '$top' has the invalid value '{asked}'.")
    return min(int(asked), default)
