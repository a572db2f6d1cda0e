"""Confirm declared callers by signed links, which their owners open without an account."""

import secrets
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.callers.confirmation_link import (
    LINK_LIFETIME,
    ConfirmationLink,
    LinkKey,
    sign_link,
    verify_link_token,
)
from shared.domain.callers.declared_caller import DECLARED_CALLER, CalledFlow, DeclaredCaller
from shared.domain.jobs.called_sides import get_ids_that_callers_stop_calling
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import AlreadyExists, LinkRejected, UnreadableRow
from shared.services import Services
from shared.use_cases.confirm_caller import confirm_caller_of_job, read_jobs_of_called_flow

#: Path of the page that a link opens.
CONFIRMATION_PATH = "/api/declared-callers/confirmation"
_KEY = "confirmation"
_KEY_BYTES = 32
_NOTHING_TO_DO = "You need not do anything. If you are not sure, ask the sender of the link."


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedFlow:
    """A flow for which a link may confirm that its caller was changed."""

    job: FlowJob
    flow: CalledFlow
    #: Empty: the environment's row is gone.
    environment_name: str

    @property
    def calls_copy(self) -> bool:
        """Return whether the caller has to call the copy, and not the original."""
        return not self.job.is_rolling_back

    @property
    def is_confirmed(self) -> bool:
        """Return whether the caller no longer calls the flow that it must stop calling."""
        return not get_ids_that_callers_stop_calling(self.job).matches(self.flow)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCaller:
    """The declared caller of a link, and the flows that the link may confirm."""

    link: ConfirmationLink
    caller: DeclaredCaller
    #: Ordered by name.
    flows: tuple[LinkedFlow, ...]


async def create_link_path(services: Services, caller: DeclaredCaller, remediation_id: str) -> str:
    """Return the path of a new confirmation link, with its token.

    The first link creates the key that signs links. Raises `LinkRejected` if the key cannot be
    read.
    """
    link = ConfirmationLink(
        caller_id=caller.id,
        remediation_id=remediation_id,
        expires_at=services.now + LINK_LIFETIME,
    )
    return f"{CONFIRMATION_PATH}?token={sign_link(link, await _ensure_link_key(services))}"


async def open_link(services: Services, token: str) -> LinkedCaller:
    """Return the caller and the flows that a link may confirm.

    Raises `LinkRejected` if the link is not valid, or nothing can be confirmed with it.
    """
    link = verify_link_token(token, await _ensure_link_key(services), services.now)
    kept = await services.tables.declared_callers.get(DECLARED_CALLER, link.caller_id)
    if kept is None:
        raise LinkRejected("The system is no longer declared as a caller.", fix=_NOTHING_TO_DO)
    found = {
        job.id: LinkedFlow(
            job=job, flow=flow, environment_name=await _read_environment_name(services, job)
        )
        for flow in kept.item.flows
        for job in await read_jobs_of_called_flow(services, flow)
        if job.remediation_id == link.remediation_id
    }
    if not found:
        raise LinkRejected(
            f"{kept.item.name} has nothing to confirm in this remediation.", fix=_NOTHING_TO_DO
        )
    flows = sorted(found.values(), key=lambda one: one.job.display_name)
    return LinkedCaller(link=link, caller=kept.item, flows=tuple(flows))


async def confirm_caller_of_linked_flow(
    services: Services, linked: LinkedCaller, job_id: str, *, calls_copy: bool
) -> None:
    """Confirm one flow of a link, as the page of the link showed it.

    A repetition changes nothing. Raises `LinkRejected` if the flow is not one of the link, or was
    rolled back or migrated since.
    """
    flow = next((one for one in linked.flows if one.job.id == job_id), None)
    if flow is None:
        raise LinkRejected("This link is for other flows.", fix="Open the link again.")
    if flow.calls_copy != calls_copy:
        raise LinkRejected(
            f"{flow.job.display_name} was rolled back or migrated since the page was opened.",
            fix="Open the link again: it shows which flow the system has to call now.",
        )
    if not flow.is_confirmed:
        await confirm_caller_of_job(
            services, linked.caller, flow.job, by=format_link_holder(linked.caller)
        )


def format_link_holder(caller: DeclaredCaller) -> str:
    """Return the name under which a confirmation by link is recorded."""
    return f"{caller.owner} (by link)"


async def _read_environment_name(services: Services, job: FlowJob) -> str:
    kept = await services.tables.environment_jobs.get(job.remediation_id, job.environment_job_id)
    return kept.item.environment_name if kept else ""


async def _ensure_link_key(services: Services) -> LinkKey:
    """Return the key that signs links; create it if there is none.

    Raises `LinkRejected` if the stored key cannot be read.
    """
    table = services.tables.link_keys
    try:
        kept = await table.get("link_key", _KEY)
        if kept is None:
            with suppress(AlreadyExists):  # another invocation has created it
                await table.insert(LinkKey(name=_KEY, key=secrets.token_hex(_KEY_BYTES)))
            kept = await table.get("link_key", _KEY)
    except UnreadableRow:
        kept = None
    if kept is None:
        raise LinkRejected("Links cannot be checked now.", fix="Ask an operator to confirm.")
    return kept.item
