"""Register the functions that Service Bus queues start: one for each queue."""

import azure.functions as func

from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS, KEY_EVENTS, POLICY_EVENTS

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=KEY_EVENTS, connection="ServiceBusConnection", cardinality="one"
)
async def on_key_event(message: func.ServiceBusMessage) -> None:
    """React to a key event: check the key, and start a remediation of its environments."""
    from functions.queue_messages import handle_event_message
    from shared.use_cases.react_to_key_event import react_to_key_event

    await handle_event_message(message, KEY_EVENTS, react_to_key_event)


@blueprint.service_bus_queue_trigger(
    arg_name="message",
    queue_name=POLICY_EVENTS,
    connection="ServiceBusConnection",
    cardinality="one",
)
async def on_policy_event(message: func.ServiceBusMessage) -> None:
    """React to an event about a policy or key vault: check keys, maybe start a remediation."""
    from functions.queue_messages import handle_event_message
    from shared.use_cases.react_to_policy_event import react_to_policy_event

    await handle_event_message(message, POLICY_EVENTS, react_to_policy_event)


@blueprint.service_bus_queue_trigger(
    arg_name="message",
    queue_name=ENVIRONMENT_JOBS,
    connection="ServiceBusConnection",
    cardinality="one",
)
async def run_environment_job(message: func.ServiceBusMessage) -> None:
    """Run the step that is due for an environment job."""
    from functions.queue_messages import run_job_from_message
    from shared.use_cases.run_environment_job import run_environment_job_step as run

    await run_job_from_message(message, ENVIRONMENT_JOBS, "remediation", run)


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=FLOW_JOBS, connection="ServiceBusConnection", cardinality="one"
)
async def run_flow_job(message: func.ServiceBusMessage) -> None:
    """Run the step that is due for a flow job."""
    from functions.queue_messages import run_job_from_message
    from shared.use_cases.run_flow_job import run_flow_job_step as run

    await run_job_from_message(message, FLOW_JOBS, "environment", run)
