"""Function: run one step of an environment job for each message of its queue."""

import azure.functions as func

from shared.queues import ENVIRONMENT_JOBS

blueprint = func.Blueprint()


@blueprint.service_bus_queue_trigger(
    arg_name="message",
    queue_name=ENVIRONMENT_JOBS,
    connection="ServiceBusConnection",
    cardinality="one",
)
async def run_environment_job(message: func.ServiceBusMessage) -> None:
    """Run the step that is due for an environment job."""
    from functions.job_messages import run_job_from_message
    from shared.use_cases.run_environment_job import run_environment_job_step as run

    await run_job_from_message(message, ENVIRONMENT_JOBS, "remediation", run)
