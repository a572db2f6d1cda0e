"""Let callers refer to one Key Vault secret with the flow's trigger URL (ADR 25).

The secret is a caller like any other, which the app creates if it is missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.domain.callers.caller import UNKNOWN_READER_KINDS, Caller, CallerContent
from shared.domain.callers.caller_edit import contains_reference
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.callers.url_secret import (
    build_reference_to_address,
    build_url_secret,
    is_url_secret_reference,
)
from shared.domain.ids import hash_key
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.transitions import add_notes
from shared.errors import NotFound
from shared.ports import CallerKind, RefersToSecrets
from shared.services import Services
from shared.steps.flows.read_back import iterate_read_attempts
from shared.steps.step_context import StepContext


async def find_reading_obstacles(
    services: Services, secrets: Mapping[Caller, str]
) -> dict[Caller, str]:
    """Return why each caller may be unable to read its secret, or "".

    Callers whose kind cannot refer to secrets are omitted. `secrets` contains the address of each
    caller's secret.
    """
    found: dict[Caller, str] = {}
    for kind in services.callers.values():
        if isinstance(kind, RefersToSecrets):
            mine = {one.address: one for one in secrets if one.kind == kind.kind}
            if mine:
                wanted = {address: secrets[caller] for address, caller in mine.items()}
                obstacles = await kind.find_secret_obstacles(wanted)
                found |= {mine[address]: text for address, text in obstacles.items()}
    return found


async def record_url_secret(work: StepContext, records: Sequence[CallerRecord]) -> None:
    """Record the URL secret as a caller, if another caller can refer to it.

    `records` are the job's callers. If the secret holds something else, callers get the URL
    instead, and a note says why. If the environment's settings no longer want secrets, a missing
    secret is not created.
    """
    job, secret = work.job, _build_url_secret_of_job(work.job)
    identity = hash_key(secret.kind, secret.address)
    recorded = next((record for record in records if record.id == identity), None)
    if not await _may_refer_to_secret(work):
        if recorded and recorded.caller.is_created_if_missing and not await _read_url_secret(work):
            await work.callers.upsert(replace(recorded, state=CallerState.NOT_NEEDED))
        return
    if recorded:
        return
    found = [record.caller for record in records if record.state is CallerState.FOUND]
    wanted = dict.fromkeys(_select_permitted_callers(job, found), job.url_secret)
    if "" not in (await find_reading_obstacles(work.services, wanted)).values():
        return
    text = await _read_url_secret(work)
    urls = {job.original.url_id, job.copy.url_id} - {""}
    if text is not None and not contains_reference(text, is_json=False, urls=urls):
        note = f"Callers hold the URL, because the {secret.label} holds something else."
        work.stage(add_notes(job, note))
        return
    await work.callers.upsert(
        CallerRecord(job_id=job.id, id=identity, caller=secret, state=CallerState.FOUND)
    )


async def _may_refer_to_secret(work: StepContext) -> bool:
    job = work.job
    return bool(job.url_secret) and (
        job.is_url_secret_chosen or (await work.read_settings()).has_url_secrets
    )


def _select_permitted_callers(job: FlowJob, callers: Iterable[Caller]) -> list[Caller]:
    permitted = job.has_url_secret_in_app_configuration
    return [one for one in callers if permitted or one.kind not in UNKNOWN_READER_KINDS]


def _build_url_secret_of_job(job: FlowJob) -> Caller:
    return build_url_secret(job.url_secret, job.environment_id, job.original.id)


async def _read_url_secret(work: StepContext) -> str | None:
    secret = _build_url_secret_of_job(work.job)
    try:
        return (await work.services.callers[secret.kind].read(secret)).text
    except NotFound:
        return None


async def find_usable_references(
    work: StepContext, records: Sequence[CallerRecord], urls: Mapping[str, str]
) -> dict[str, str]:
    """Return, by address, the reference that each caller may get in place of the copy's URL.

    Returns none until the secret contains exactly the copy's URL.
    """
    job = work.job
    if not await _may_refer_to_secret(work):
        return {}
    text = await _read_url_secret(work)
    if text is None or text != urls.get(job.original.url_id):
        return {}
    callers = _select_permitted_callers(job, (record.caller for record in records))
    wanted = dict.fromkeys(callers, job.url_secret)
    obstacles = await find_reading_obstacles(work.services, wanted)
    reference = build_reference_to_address(job.url_secret)
    return {caller.address: reference for caller, why in obstacles.items() if not why}


async def find_unresolved_references(
    work: StepContext, kind: CallerKind, values: Sequence[tuple[Caller, CallerContent]]
) -> Mapping[str, str]:
    """Return, by address, the status of each written Key Vault reference that is not resolved."""
    referring = [caller.address for caller, value in values if is_url_secret_reference(value.text)]
    unresolved: Mapping[str, str] = {}
    if referring and isinstance(kind, RefersToSecrets):
        async for _ in iterate_read_attempts(work):
            unresolved = await kind.find_unresolved_references(referring)
            if not unresolved:
                break
    return unresolved
