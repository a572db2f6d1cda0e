"""Read a trigger URL as a co-owner for the moment it takes. The URL is a secret: never kept."""

from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from shared.domain.jobs.refusals import NO_CO_OWNER, refusal_of
from shared.domain.jobs.relatives import located
from shared.domain.trigger_urls.signatures import signatures_in
from shared.domain.trigger_urls.trigger_url import TriggerUrl, parse_trigger_url
from shared.errors import Blocked, NotFound, Refused, Unavailable
from shared.reason import Reason
from shared.steps.gate import permit_write
from shared.steps.work import Work


async def read_trigger_url(
    work: Work, flow_name: str, trigger: str, environment_id: str = ""
) -> str:
    """Return the trigger URL of a flow, of this environment unless another is named.

    The operator is made co-owner if it may not ask, and steps back at the end of the step. The row
    says so in between: a later delivery goes on where a dead or throttled one stopped, and returns
    what that borrowed. Raises `Refused`, `Blocked`; `Unavailable` while a new right is on its way.
    """
    access = work.services.flow_access
    environment_id = environment_id or work.job.environment_id
    try:
        return await access.trigger_url(environment_id, flow_name, trigger)
    except Refused as err:
        if err.status != HTTPStatus.FORBIDDEN:
            raise
    await _note_loan(work, environment_id, flow_name)
    await work.check_lease()
    await access.add_operator(environment_id, flow_name)
    try:
        return await access.trigger_url(environment_id, flow_name, trigger)
    except Refused as err:
        is_early = refusal_of(err.code, err.detail).code == NO_CO_OWNER
        if is_early and work.job.failures < work.services.settings.backoff_tries:
            # Rights take time to arrive: the co-ownership stays while the job waits for them.
            text = f"The operator is co-owner of the flow {flow_name} and may not ask for its URL."
            raise Unavailable(text) from err
        raise


async def _note_loan(work: Work, environment_id: str, flow_name: str) -> None:
    """Note what is to be returned, unless the operator is co-owner by somebody else: it stays so.

    Whether it is one is asked before the first loan; from then on it may be one by a loan.
    """
    await work.permit_write()
    name = flow_name
    if environment_id != work.job.environment_id:
        await permit_write(work.services, environment_id)
        name = f"{environment_id}/{flow_name}"
    if name in work.job.borrowed:
        return
    if name not in work.job.lent and await _is_co_owner(work, environment_id, flow_name):
        return
    job = work.job
    lent = tuple(dict.fromkeys((*job.lent, name)))
    await work.save(replace(job, borrowed=(*job.borrowed, name), lent=lent))


async def _is_co_owner(work: Work, environment_id: str, flow_name: str) -> bool:
    access = work.services.flow_access
    operator = (await access.operator_id()).lower()
    return any(
        held.principal_id.lower() == operator and held.is_co_owner
        for held in await access.permissions(environment_id, flow_name)
    )


async def return_borrowed(work: Work) -> None:
    """Take back every co-ownership that this job gave the operator, at any hour of the day."""
    for borrowed in work.job.borrowed:
        environment_id, flow_name = located(borrowed, work.job.environment_id)
        await permit_write(work.services, environment_id, anytime=True)
        await work.check_lease()
        with suppress(NotFound):  # the flow is gone, and the co-ownership with it
            await work.services.flow_access.remove_operator(environment_id, flow_name)
        left = tuple(name for name in work.job.borrowed if name != borrowed)
        await work.save(replace(work.job, borrowed=left))


def parsed(url: str, title: str) -> TriggerUrl:
    """Return the parts of a URL that the platform gave; raises `Blocked` for an unknown shape."""
    found = parse_trigger_url(url)
    if found is None:
        raise Blocked(
            f"The platform gave a trigger URL of an unknown shape for {title}.",
            code=Reason.URL_SHAPE,
        )
    return found


async def original_signatures(work: Work) -> dict[str, str]:
    """Return the original's signature by its SHA-256, as the platform gives it now."""
    return signatures_in(await read_trigger_url(work, work.job.flow_name, work.job.trigger_name))
