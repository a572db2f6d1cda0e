"""The channels by which people are told: the log, and those whose settings are set."""

from shared.bootstrap.ground import Ground
from shared.ports import Channel


def build_channels(ground: Ground) -> tuple[Channel, ...]:
    """Return them; nothing is called yet. Raises `ValueError` for a secret that signs nothing."""
    from shared.adapters.channels import event_grid
    from shared.adapters.channels.log import LogChannel
    from shared.adapters.channels.teams import TeamsWorkflow
    from shared.adapters.channels.webhook import SignedWebhook
    from shared.adapters.http.client import Service

    settings = ground.settings
    channels: list[Channel] = [LogChannel()]
    if settings.event_grid_topic:
        topic = Service(name="Event Grid", scope=event_grid.SCOPE, credential=ground.credential)
        channels.append(event_grid.EventGridTopic(ground.http, topic, settings.event_grid_topic))
    if settings.webhook:
        if not settings.webhook_secret:
            raise ValueError("CMK_WEBHOOK_SECRET is needed where CMK_WEBHOOK is set")
        receiver = Service(name="Webhook", scope="", credential=None)
        channels.append(
            SignedWebhook(ground.http, receiver, settings.webhook, settings.webhook_secret)
        )
    if settings.teams_webhook:
        workflow = Service(name="Teams webhook", scope="", credential=None)
        channels.append(TeamsWorkflow(ground.http, workflow, settings.teams_webhook))
    return tuple(channels)
