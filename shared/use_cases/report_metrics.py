"""Record metrics of the current state."""

from typing import Any

from shared.domain.jobs.durable_job import DurableJob
from shared.domain.plans.environment_status import count_jobs_by_state
from shared.errors import CmkflowError
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.read_job_index import read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader

log = get_product_log(__name__)


async def report_metrics(services: Services) -> None:
    """Record the metrics as gauges, if telemetry is recorded.

    An error of the app is only logged.
    """
    if not services.telemetry.is_recorded:
        return
    try:
        await _report_gauges(services)
    except CmkflowError as err:
        log.warning("metrics not recorded", extra={"text": err})


async def _report_gauges(services: Services) -> None:
    report, now, reading = services.telemetry.report, services.now, RowReader()
    known = await read_known_jobs(services, reading)
    for state, number in count_jobs_by_state(known.flow_jobs, *known.closed.values()).items():
        report("cmk.flows", number, {"state": state})
    jobs: list[DurableJob[Any]] = [*known.environment_jobs, *known.flow_jobs]
    begun = [job.history[0].changed_at for job in jobs if job.history and not job.is_inactive]
    oldest = (now - min(begun, default=now)).total_seconds()
    report("cmk.open_jobs.oldest_seconds", oldest, {})
    observed = await reading.list_readable(services.tables.observed_callers.scan())
    report("cmk.late_callers", sum(len(row.callers) for row in observed), {})
    both_off = [
        (now - job.both_off_since).total_seconds()
        for job in known.flow_jobs
        if job.both_off_since and job.reason_code == Reason.BOTH_OFF
    ]
    report("cmk.both_off.seconds", max(both_off, default=0.0), {})
