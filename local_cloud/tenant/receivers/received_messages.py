"""Store the messages that receivers got, accepted or rejected, in the order of their arrival."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.requests import Request

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant

_SIGNATURE = re.compile(rb"[?&;]sig=|%3Fsig%3D|%26sig%3D|u0026sig=", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    at: str
    receiver: str
    title: str
    kind: str
    #: By which the receiver knows what it has had; a card has none.
    id: str
    #: What a receiver groups by; a card has none.
    correlation: str
    #: The page that it opens; empty: it opens none.
    link: str = ""
    #: It came before with the same id: an answer was lost.
    is_repeated: bool = False
    #: Why it was refused; empty: it was taken.
    refusal: str = ""


@dataclass(slots=True)
class Receivers:
    #: By which the webhook's messages are signed (`whsec_…`).
    webhook_secret: str = ""
    #: The `sig` of the channel's webhook.
    channel_signature: str = ""
    messages: list[ReceivedMessage] = field(default_factory=list)

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(one) for one in self.messages]


def find_receivers(request: Request) -> Receivers:
    tenant: Tenant = request.app.state.tenant
    return tenant.get_part(Receivers)


def store_message(request: Request, receiver: str, content: dict[str, Any]) -> None:
    tenant, receivers = request.app.state.tenant, find_receivers(request)
    known = {(one.receiver, one.id) for one in receivers.messages if not one.refusal}
    is_repeated = bool(content["id"]) and (receiver, content["id"]) in known
    at = format_time(tenant.clock.now())
    message = ReceivedMessage(at=at, receiver=receiver, is_repeated=is_repeated, **content)
    receivers.messages.append(message)


def record_rejection(
    request: Request, receiver: str, status: int, why: str
) -> SimulatedPlatformError:
    """Store that a message was rejected, and return the error for its sender."""
    tenant = request.app.state.tenant
    find_receivers(request).messages.append(
        ReceivedMessage(
            at=format_time(tenant.clock.now()),
            receiver=receiver,
            title="",
            kind="",
            id="",
            correlation="",
            refusal=f"{status} {why}",
        )
    )
    return SimulatedPlatformError(status, "BadRequest" if status == 400 else "Refused", why)


async def read_content(request: Request, receiver: str, limit: int) -> bytes:
    """Return the body of a request.

    Rejects more than `limit` bytes, and a body with the signature of a trigger URL.
    """
    body = await request.body()
    if len(body) > limit:
        raise record_rejection(
            request, receiver, 413, f"It has {len(body)} bytes; {limit} are taken."
        )
    if _SIGNATURE.search(body):
        raise record_rejection(request, receiver, 400, "It holds the signature of a trigger URL.")
    return body
