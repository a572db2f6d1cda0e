"""Says who calls the API: the only place that reads what the platform says of it."""

import azure.functions as func

from shared.domain.principal import Principal, PrincipalKind, Role
from shared.domain.trigger_urls.trigger_url import redact

#: Set by App Service where it signs callers in; elsewhere anybody may write it.
PRINCIPAL = "X-MS-CLIENT-PRINCIPAL-NAME"


def principal_of(req: func.HttpRequest) -> Principal:
    """Return who asks; a header that is no UTF-8 is told as far as it is."""
    name = redact(req.headers.get(PRINCIPAL) or "").strip()[:200]
    return Principal(
        name=name.encode("utf-8", "replace").decode(),
        roles=frozenset(Role),
        kind=PrincipalKind.KEY,
    )
