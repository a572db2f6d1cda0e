"""Read a definition that the platform hides from the app, through a temporary co-ownership.

Granting it is a write, so it is done only where a remediation may write, and recorded first. A
grant that a crashed invocation left is revoked by the next one, and for a completed job by a timer.
"""

from contextlib import suppress
from dataclasses import replace

from shared.domain.flow import FlowServiceFlow
from shared.domain.plans.discovery import NOT_SHOWN
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import JobBlocked, MustWait, PlatformError, ServiceUnavailable
from shared.jobs.leased_job import LeasedJob
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.temporary_co_ownership import (
    is_co_owner,
    is_grant_propagating,
    remove_co_ownership,
)
from shared.steps.step_context import WRITE_TAKES
from shared.steps.write_permission import require_write_allowed


class HiddenDefinitions:
    """Reads hidden definitions of an environment's flows as the service account."""

    def __init__(self, held: LeasedJob[EnvironmentJob]) -> None:
        """`held` is the job that reads the definitions."""
        self._held = held
        self._access = held.services.flow_access
        #: Flows for which this invocation granted co-ownership.
        self._made: set[str] = set()

    async def read(self, flow_name: str) -> FlowServiceFlow | str:
        """Return the flow with its definition, or the reason why the definition cannot be read.

        Raises `NotFound` if the flow does not exist, and `TransientError`, for example while a new
        grant is propagating.
        """
        job = self._held.job
        try:
            # A service account that is co-owner already needs no grant.
            with suppress(PlatformError):
                return await self._access.read_definition(job.environment_id, flow_name)
            if not job.mode.writes:
                return (
                    f"{NOT_SHOWN}, and a remediation in mode {job.mode} may not grant access to "
                    "read it"
                )
            await self._require_write_allowed()
            return await self._read_as_co_owner(flow_name)
        except (MustWait, JobBlocked, PlatformError) as err:
            return f"{NOT_SHOWN}, nor to the service account: {redact(str(err))}"

    async def _read_as_co_owner(self, flow_name: str) -> FlowServiceFlow:
        home = self._held.job.environment_id
        if not await is_co_owner(self._held.services, home, flow_name):
            await self._record_grant(flow_name)
        await self._held.services.request_budget.wait_for_requests()

        async def grant_co_ownership() -> None:
            if await self._access.grant(home, flow_name):
                self._made.add(flow_name)

        await perform(Write(permit=self._require_write_allowed, call=grant_co_ownership))
        try:
            detail = await self._access.read_definition(home, flow_name)
        except PlatformError as err:
            if (
                is_grant_propagating(err)
                and self._held.job.consecutive_failures < self._most_attempts
            ):
                text = (
                    f"The service account is co-owner of the flow {flow_name}, but the platform "
                    "does not accept it yet."
                )
                raise ServiceUnavailable(text) from err
            await self.revoke_grants()
            raise
        await self.revoke_grants()
        return detail

    async def revoke_grants(self) -> None:
        """Revoke every active grant of the job, including those of an earlier invocation."""
        job = self._held.job
        if not job.grants.active:
            return
        for flow_name in job.grants.active:
            flow = job.environment_id, flow_name
            is_made = flow_name in self._made
            await remove_co_ownership(
                self._held.services, flow, self._require_write_allowed, is_made=is_made
            )
        grants = job.grants.mark_revoked(*job.grants.active, at=self._held.services.now)
        await self._held.save(replace(self._held.job, grants=grants))

    async def _record_grant(self, flow_name: str) -> None:
        job = self._held.job
        await self._held.save(replace(job, grants=job.grants.add_active_grant(flow_name)))

    async def _require_write_allowed(self) -> None:
        services, job = self._held.services, self._held.job
        # As for a revocation: neither changes what the flow does, so any time of day is allowed.
        await require_write_allowed(services, job.environment_id, anytime=True)
        await self._held.ensure_lease(WRITE_TAKES)

    @property
    def _most_attempts(self) -> int:
        return self._held.services.settings.backoff_max_attempts
