"""Function: handle events about enterprise policies and their links to environments."""

import azure.functions as func

from shared.queues import POLICY_EVENTS

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message",
    queue_name=POLICY_EVENTS,
    connection="ServiceBusConnection",
    cardinality="one",
)
async def on_policy_event(message: func.ServiceBusMessage) -> None:
    """Start a remediation or update jobs, as the event requires."""
    from functions.event_messages import handle_event_message
    from shared.use_cases.react_to_policy_event import react_to_policy_event

    await handle_event_message(message, POLICY_EVENTS, react_to_policy_event)
