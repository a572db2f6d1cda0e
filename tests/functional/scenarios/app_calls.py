"""Call the app's functions with request and message objects, as the Azure Functions worker does."""

import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions.servicebus import ServiceBusMessage

from functions import queue_triggers
from functions.principals import PRINCIPAL
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS, KEY_EVENTS, POLICY_EVENTS
from shared.services import Services
from tests.fakes.driver import UseCase
from tests.fakes.messages import Delivered
from tests.fakes.runtime import OneFunctionKey

#: The claim type with which App Service replaces `oid`.
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"

type Trigger = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response of the app."""

    status: int
    headers: Mapping[str, str]
    media_type: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def document(self) -> Any:
        return json.loads(self.text)


def build_sign_in_header(name: str, roles: Iterable[Role] = Role) -> dict[str, str]:
    """Return the header in which App Service passes on a signed-in person with these roles."""
    claims = [
        {"typ": OBJECT_ID, "val": f"id-{name}"},
        {"typ": "preferred_username", "val": name},
        *({"typ": "roles", "val": role} for role in roles),
    ]
    document = {"auth_typ": "aad", "name_typ": "", "role_typ": "", "claims": claims}
    return {PRINCIPAL: base64.b64encode(json.dumps(document).encode()).decode()}


async def call(
    handler: Callable[..., Awaitable[func.HttpResponse]],
    body: object = None,
    *,
    id: str | None = None,  # noqa: A002  # the name in the route
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    path: str = "here",
    params: Mapping[str, str] | None = None,
    key: str = OneFunctionKey.KEY,
) -> Reply:
    """Call an HTTP function and return its response. `body` is sent as JSON, unless it is bytes."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    response = await handler(
        func.HttpRequest(
            "POST",
            f"https://app.example/api/{path}?code={key}",
            headers=dict(headers or {}),
            params={"code": key, **(query or {})},
            route_params={**({} if id is None else {"id": id}), **(params or {})},
            body=content,
        )
    )
    return Reply(
        status=response.status_code,
        headers=dict(response.headers),
        media_type=response.mimetype,
        content=response.get_body(),
    )


def build_message(
    body: object, *, message_id: str = "m-1", properties: Mapping[str, str] | None = None
) -> ServiceBusMessage:
    """Return a message as the worker passes it to a function. `body` becomes JSON unless it is
    bytes.
    """
    return ServiceBusMessage(
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        message_id=message_id,
        application_properties=dict(properties or {}),
        user_properties=dict(properties or {}),
        delivery_count=1,
    )


def _deliver_through(trigger: Trigger) -> UseCase:
    async def deliver(services: Services, message: Delivered) -> None:
        provide(services)
        await trigger(
            build_message(
                message.body, message_id=message.message_id, properties=message.properties
            )
        )

    return deliver


#: The app's own trigger for each queue, through which a `Driver` delivers messages.
TRIGGERS: Mapping[str, UseCase] = {
    KEY_EVENTS: _deliver_through(queue_triggers.on_key_event),
    POLICY_EVENTS: _deliver_through(queue_triggers.on_policy_event),
    ENVIRONMENT_JOBS: _deliver_through(queue_triggers.run_environment_job),
    FLOW_JOBS: _deliver_through(queue_triggers.run_flow_job),
}
