"""Decide what an error does to a job: wait, retry, block or fail."""

from typing import Any

from shared.domain.jobs.backoff import add_jitter, compute_backoff_delay
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import fill_in_environment, stop_with_reason, wait_until
from shared.domain.platform_errors import find_error_fix
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
    TransientError,
    UnreadableRow,
)
from shared.reason import Reason
from shared.services import Services


def apply_error[J: DurableJob[Any]](services: Services, job: J, err: Exception) -> J | None:
    """Return the row after an expected error, or None for an internal error."""
    now, blocked = services.now, job.blocked_state
    text = redact(str(err))  # the platform may repeat what it was sent
    match err:
        case JobBlocked():
            return stop_with_reason(job, blocked, err.reason, err.fix, code=err.code, now=now)
        case PlatformError():
            # Before the step started: an error of the environment, not of the flow.
            fix = find_error_fix(err.code, redact(err.detail))
            return stop_with_reason(job, blocked, text, fix, code=err.code, now=now)
        case NotFound():
            fix = "Check whether the environment exists, then retry."
            return stop_with_reason(
                job, blocked, text, fix, code=Reason.DEPENDENCY_DELETED, now=now
            )
        case InternalErrorRepeated():
            fix = Reason.INTERNAL_ERROR.fix
            return stop_with_reason(
                job, job.failed_state, text, fix, code=Reason.INTERNAL_ERROR, now=now
            )
        case _:
            return _apply_temporary_error(services, job, err, text)


def _apply_temporary_error[J: DurableJob[Any]](
    services: Services, job: J, err: Exception, text: str
) -> J | None:
    now, settings = services.now, services.settings
    match err:
        case MustWait():
            later = wait_until(job, err.reason, until=max(err.until, now), now=now, code=err.code)
            # Its requests were answered.
            fix = fill_in_environment(err.fix, job.environment_id)
            return replace(later, consecutive_failures=0, fix=fix)
        case PlatformMigrationInProgress():
            until = now + settings.platform_migration_poll_interval
            return wait_until(
                job,
                "The platform is moving the environment's flows to the key.",
                until=until,
                now=now,
                code=Reason.PLATFORM_MIGRATION_RUNNING,
            )
        case UnreadableRow():  # of another job: a version that can read it will be deployed
            until = now + settings.backoff_max_delay
            return wait_until(job, text, until=until, now=now, code=Reason.UNREADABLE_ROW)
        case ServiceOutage():  # not this job's fault: spread the jobs that wait
            wait = add_jitter(err.retry_after or settings.backoff_initial_delay, repr(job), share=1)
            return wait_until(job, text, until=now + wait, now=now, code=err.code)
        case ThrottledError():
            wait = add_jitter(err.retry_after or settings.backoff_initial_delay, repr(job))
            return wait_until(job, text, until=now + wait, now=now, code=Reason.THROTTLED)
        case TransientError() | Conflict():
            return _schedule_next_try(services, job, err, text)
        case _:
            return None


def _schedule_next_try[J: DurableJob[Any]](
    services: Services, job: J, err: TransientError | Conflict, text: str
) -> J:
    now, settings = services.now, services.settings
    failures = job.consecutive_failures + 1
    if failures > settings.backoff_max_attempts:
        if isinstance(err, RefusedForNow):
            fix = find_error_fix(err.code)
            return stop_with_reason(job, job.blocked_state, text, fix, code=err.code, now=now)
        fix = Reason.RETRIES_EXHAUSTED.fix
        return stop_with_reason(
            job, job.blocked_state, text, fix, code=Reason.RETRIES_EXHAUSTED, now=now
        )
    asked = err.retry_after if isinstance(err, TransientError) else None
    wait = compute_backoff_delay(
        failures,
        first=settings.backoff_initial_delay,
        longest=settings.backoff_max_delay,
        asked=asked,
    )
    later = wait_until(
        job,
        f"The app will try again: {text}",
        until=now + wait,
        now=now,
        code=Reason.RETRIES_EXHAUSTED,
    )
    return replace(later, consecutive_failures=failures)
