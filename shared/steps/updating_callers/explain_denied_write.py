"""Explain why Azure rejects every write of a caller: a read-only lock, or Azure Policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.domain.platform_errors import (
    DENIED_BY_POLICY,
    SCOPE_LOCKED,
    parse_locked_scope,
    parse_policy_assignments,
)
from shared.errors import JobBlocked, NotFound, PlatformError
from shared.read_only_locks import read_read_only_locks
from shared.services import Services


def is_denied(error: PlatformError) -> bool:
    """Return whether Azure rejects every write of the resource, whatever its content."""
    return error.code in {SCOPE_LOCKED, DENIED_BY_POLICY}


@asynccontextmanager
async def explain_denied_write(services: Services, label: str) -> AsyncIterator[None]:
    """Raise `JobBlocked` instead of an error that `is_denied`. It names the lock or the policy
    assignments, and says what to do.

    `label` is the caller for people.
    """
    try:
        yield
    except PlatformError as err:
        if not is_denied(err):
            raise
        raise await _explain(services, label, err) from err


async def _explain(services: Services, label: str, error: PlatformError) -> JobBlocked:
    if error.code == SCOPE_LOCKED:
        cause = await _read_lock_name(services, parse_locked_scope(error.detail))
        todo = f"Remove the {cause}"
    else:
        cause = f"policy {', '.join(parse_policy_assignments(error.detail)) or '(not named)'}"
        todo = f"Exempt the resource from the {cause}"
    return JobBlocked(
        f"The {label} cannot be changed, because of the {cause}: {error}",
        fix=f"{todo}, or change the URL yourself. Then retry.",
        code=error.code,
    )


async def _read_lock_name(services: Services, scope: str) -> str:
    """Return the name of a lock, which the error does not contain, with its scope."""
    try:
        locks = await read_read_only_locks(services.assessment.resources)
    except (NotFound, PlatformError):
        return f"read-only lock at {scope}"
    return locks.find(scope) or f"read-only lock at {scope}"
