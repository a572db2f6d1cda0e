"""Explain why Azure rejects every write of a caller: a lock, a policy or a missing permission."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.domain.callers.caller import Caller
from shared.domain.platform_errors import (
    DENIED_BY_POLICY,
    SCOPE_LOCKED,
    parse_locked_scope,
    parse_policy_assignments,
)
from shared.errors import JobBlocked, NotFound, PlatformError
from shared.read_only_locks import read_read_only_locks
from shared.services import Services
from shared.steps.flows.missing_permission import (
    build_missing_permission_error,
    is_permission_missing,
)


def denies_every_write(error: PlatformError) -> bool:
    """Return whether an error means that any write of the resource would be rejected."""
    return error.code in {SCOPE_LOCKED, DENIED_BY_POLICY} or is_permission_missing(error)


@asynccontextmanager
async def explain_denied_write(services: Services, caller: Caller) -> AsyncIterator[None]:
    """Raise `JobBlocked`, which says what to do, in place of an error that denies every write."""
    try:
        yield
    except PlatformError as err:
        if not denies_every_write(err):
            raise
        if is_permission_missing(err):
            needs = services.callers[caller.kind].required_permissions
            raise build_missing_permission_error(err, caller.label, needs, caller.address) from err
        raise await _explain_denial(services, caller.label, err) from err


async def _explain_denial(services: Services, label: str, error: PlatformError) -> JobBlocked:
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
    try:
        locks = await read_read_only_locks(services.assessment.resources)
    except (NotFound, PlatformError):
        return f"read-only lock at {scope}"
    return locks.describe_lock(scope) or f"read-only lock at {scope}"
