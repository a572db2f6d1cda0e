"""Function: handle Key Vault events (new version, near expiry, expired) of a key."""

import azure.functions as func

from shared.queues import KEY_EVENTS

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=KEY_EVENTS, connection="ServiceBusConnection", cardinality="one"
)
async def on_key_event(message: func.ServiceBusMessage) -> None:
    """Check the key, its policies and environments, and search for flows on Microsoft's key."""
    from functions.event_messages import handle_event_message
    from shared.use_cases.react_to_key_event import react_to_key_event

    await handle_event_message(message, KEY_EVENTS, react_to_key_event)
