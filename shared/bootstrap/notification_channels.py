"""Build the configured notification channels. The log is always a channel."""

from collections.abc import Callable

from shared.bootstrap.core_services import CoreServices
from shared.domain.plans.channel_settings import (
    EVENT_GRID_TOPIC,
    TEAMS_WEBHOOK,
    WEBHOOK,
    WEBHOOK_SECRET,
    require_usable_address,
    require_usable_signing_key,
)
from shared.errors import UnusableSetting
from shared.ports import NotificationChannel, UnusableChannel


def build_channels(ground: CoreServices) -> tuple[NotificationChannel, ...]:
    """Build the channels, without any request.

    A channel with invalid settings is replaced by an `UnusableChannel`; the others work.
    """
    from shared.adapters.channels import event_grid
    from shared.adapters.channels.log import LogNotificationChannel
    from shared.adapters.channels.teams import TeamsWorkflow
    from shared.adapters.channels.webhook import SignedWebhook
    from shared.adapters.http.client import HttpService

    settings = ground.settings
    # The notifier decides when to retry a channel.
    http = ground.http.without_circuit_breakers()

    def build_topic() -> NotificationChannel:
        address = require_usable_address(
            EVENT_GRID_TOPIC, settings.event_grid_topic, domain=event_grid.DOMAIN
        )
        service = HttpService(
            name="Event Grid", scope=event_grid.SCOPE, credential=ground.credential
        )
        return event_grid.EventGridTopic(http, service, address)

    def build_webhook() -> NotificationChannel:
        address = require_usable_address(WEBHOOK, settings.webhook)
        key = require_usable_signing_key(WEBHOOK_SECRET, settings.webhook_secret)
        return SignedWebhook(
            http, HttpService(name="Webhook", scope="", credential=None), address, key
        )

    def build_teams() -> NotificationChannel:
        address = require_usable_address(TEAMS_WEBHOOK, settings.teams_webhook)
        service = HttpService(name="Teams webhook", scope="", credential=None)
        return TeamsWorkflow(http, service, address)

    wanted: list[tuple[str, str, Callable[[], NotificationChannel]]] = [
        ("event_grid", settings.event_grid_topic, build_topic),
        ("webhook", settings.webhook, build_webhook),
        ("teams", settings.teams_webhook, build_teams),
    ]
    return (
        LogNotificationChannel(),
        *(_build_channel_or_unusable(name, build) for name, value, build in wanted if value),
    )


def _build_channel_or_unusable(
    name: str, build: Callable[[], NotificationChannel]
) -> NotificationChannel:
    try:
        return build()
    except UnusableSetting as err:
        return UnusableChannel(name=name, error=err)
