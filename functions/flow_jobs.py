"""Function: run one step of a flow job for each message of its queue."""

import azure.functions as func

from shared.queues import FLOW_JOBS

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=FLOW_JOBS, connection="ServiceBusConnection", cardinality="one"
)
async def run_flow_job(message: func.ServiceBusMessage) -> None:
    """Run the step that is due for a flow job."""
    from functions.job_messages import run_job_from_message
    from shared.use_cases.run_flow_job import run_flow_job_step as run

    await run_job_from_message(message, FLOW_JOBS, "environment", run)
