"""Read the headers of the call that started a run (platform.md#trigger-outputs).

The link to a trigger's outputs is signed, so it is a secret: no error, log or row contains it. The
app discards the call's body, which the outputs also contain.
"""

import re
from urllib.parse import urlsplit

from shared.adapters.flow_service.service import FlowService
from shared.adapters.flow_service.wire import RunEntity
from shared.adapters.http.client import ServiceRequest, is_url_in_domain
from shared.domain.callers.call_headers import NOT_SHOWN, CallTraits, parse_call_traits
from shared.domain.definitions.json_values import mapping_at
from shared.errors import CmkflowError, ServiceOutage, ThrottledError

#: Most bytes of outputs that are read: headers and body.
_LONGEST = 256 * 1024
_PATH = re.compile(
    r"/(?:[a-z0-9/]+/)?workflows/[0-9a-f]{32}/runs/(?P<run>[^/]+)/contents/TriggerOutputs",
    re.IGNORECASE,
)


async def read_call_traits(service: FlowService, run: RunEntity) -> CallTraits:
    """Return what the headers of the call that started a run show, or `NOT_SHOWN`.

    Raises `ThrottledError` and `ServiceOutage`. After any other error, returns `NOT_SHOWN`, because
    the platform does not show the headers of every call.
    """
    link = run.properties.trigger.outputs_link
    if (
        link is None
        or not _is_link_to_outputs(link.uri, run.name, service.content_domains)
        or _is_too_long(link.content_size)
    ):
        return NOT_SHOWN
    try:
        outputs = await service.read_signed_url(
            ServiceRequest(method="GET", url=link.uri), _LONGEST
        )
    except (ThrottledError, ServiceOutage):
        raise
    except CmkflowError:
        return NOT_SHOWN
    headers = mapping_at(outputs or {}, "headers")
    return parse_call_traits(headers) if headers else NOT_SHOWN


def _is_link_to_outputs(uri: str, run_id: str, domains: tuple[str, ...]) -> bool:
    """Return whether a link leads to the outputs of this run on a host of the platform."""
    found = _PATH.fullmatch(urlsplit(uri).path)
    is_of_run = found is not None and found["run"] == run_id
    return is_of_run and any(is_url_in_domain(uri, one) for one in domains)


def _is_too_long(size: object) -> bool:
    return isinstance(size, int) and size > _LONGEST
