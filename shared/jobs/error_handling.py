"""What becomes of a row after an error: the one place where that is decided."""

from typing import Any

from shared.domain.jobs.backoff import add_jitter, backoff_delay
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import stop_with_reason, wait_until
from shared.domain.platform_errors import instruction_for
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    Conflict,
    InternalErrorRepeated,
    JobBlocked,
    MustWait,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    RefusedForNow,
    ServiceOutage,
    ThrottledError,
    TokenRejected,
    TransientError,
    UnreadableRow,
)
from shared.reason import Reason
from shared.services import Services


def apply_error[J: DurableJob[Any]](services: Services, job: J, err: Exception) -> J | None:
    """Return the row after an expected error; None for a defect."""
    now, blocked = services.now, job.blocked_state
    text = redact(str(err))  # the platform may repeat what it was sent
    match err:
        case JobBlocked():
            return stop_with_reason(
                job, blocked, err.reason, err.instruction, code=err.code, now=now
            )
        case PlatformError():
            # Before the work began: of the environment, not of the flow.
            remedy = instruction_for(err.code, redact(err.detail))
            return stop_with_reason(job, blocked, text, remedy, code=err.code, now=now)
        case NotFound():
            remedy = "See whether the environment is well, then retry."
            return stop_with_reason(
                job, blocked, text, remedy, code=Reason.DEPENDENCY_DELETED, now=now
            )
        case InternalErrorRepeated():
            remedy = Reason.INTERNAL_ERROR.instruction
            return stop_with_reason(
                job, job.failed_state, text, remedy, code=Reason.INTERNAL_ERROR, now=now
            )
        case _:
            return _later(services, job, err, text)


def _later[J: DurableJob[Any]](services: Services, job: J, err: Exception, text: str) -> J | None:
    """Return the row after what passes by itself."""
    now, settings = services.now, services.settings
    match err:
        case MustWait():
            later = wait_until(job, err.reason, until=max(err.until, now), now=now, code=err.code)
            # Its calls were answered.
            return replace(later, consecutive_failures=0, instruction=err.instruction)
        case PlatformMigrationInProgress():
            until = now + settings.platform_migration_poll_interval
            return wait_until(
                job,
                "The environment is being migrated.",
                until=until,
                now=now,
                code=Reason.PLATFORM_MIGRATION_RUNNING,
            )
        case UnreadableRow():  # of another job: whoever can read it will be deployed
            until = now + settings.backoff_max_delay
            return wait_until(job, text, until=until, now=now, code=Reason.UNREADABLE_ROW)
        case ServiceOutage():  # not of this job: it waits, and all that wait come one by one
            wait = add_jitter(err.retry_after or settings.backoff_initial_delay, repr(job), share=1)
            return wait_until(job, text, until=now + wait, now=now, code=Reason.SERVICE_OUTAGE)
        case ThrottledError():
            wait = add_jitter(err.retry_after or settings.backoff_initial_delay, repr(job))
            return wait_until(job, text, until=now + wait, now=now, code=Reason.THROTTLED)
        case TransientError() | Conflict():
            return _try_again(services, job, err, text)
        case _:
            return None


def _try_again[J: DurableJob[Any]](
    services: Services, job: J, err: TransientError | Conflict, text: str
) -> J:
    now, settings = services.now, services.settings
    failures = job.consecutive_failures + 1
    if failures > settings.backoff_max_attempts:
        if isinstance(err, TokenRejected | RefusedForNow):
            remedy = instruction_for(err.code)
            return stop_with_reason(job, job.blocked_state, text, remedy, code=err.code, now=now)
        remedy = Reason.RETRIES_EXHAUSTED.instruction
        return stop_with_reason(
            job, job.blocked_state, text, remedy, code=Reason.RETRIES_EXHAUSTED, now=now
        )
    asked = err.retry_after if isinstance(err, TransientError) else None
    wait = backoff_delay(
        failures,
        first=settings.backoff_initial_delay,
        longest=settings.backoff_max_delay,
        asked=asked,
    )
    later = wait_until(
        job, f"Tried again: {text}", until=now + wait, now=now, code=Reason.RETRIES_EXHAUSTED
    )
    return replace(later, consecutive_failures=failures)
