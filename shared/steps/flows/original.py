"""Read the original from Dataverse, or from the flow service if Dataverse has no row for it."""

from dataclasses import dataclass, field, replace

from shared.domain.environment import Environment
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.platform_errors import DEFINITION_NOT_SHOWN, find_error_fix
from shared.errors import InvalidInput, JobBlocked, NotFound
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.temporary_co_ownership import call_as_co_owner
from shared.steps.step_context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalFlow:
    """An original as it was just read."""

    #: Its Dataverse id; the row may not exist.
    workflow_id: str
    name: str
    description: str
    state: FlowState
    #: None: the flow service hides the definition from the app, and Dataverse has no row.
    shown: str | None = field(repr=False)
    owner_id: str
    owner_is_entra_id: bool
    is_managed: bool
    #: Empty: Dataverse has no row.
    etag: str
    #: As in `Workflow`.
    modern_type: int | None = None

    @property
    def client_data(self) -> str:
        """Return the definition. Raises `JobBlocked` if the platform hides it from the app."""
        if self.shown is None:
            raise JobBlocked(
                f"The platform does not show the definition of {self.name} to the app.",
                fix=find_error_fix(DEFINITION_NOT_SHOWN),
                code=DEFINITION_NOT_SHOWN,
            )
        return self.shown

    @property
    def is_on(self) -> bool:
        return self.state is FlowState.ON


async def read_original(work: StepContext) -> OriginalFlow:
    """Return the original.

    If the app may not read the definition, the service account does. Raises `JobBlocked` if the
    original no longer exists.
    """
    found = await find_readable_original(work)
    if found is None:
        raise JobBlocked(
            f"The original {work.job.display_name} was deleted.",
            code=Reason.ORIGINAL_DELETED,
        )
    return found


async def find_readable_original(work: StepContext) -> OriginalFlow | None:
    """Return the original, or None if it no longer exists.

    If the app may not read the definition, the service account does.
    """
    found = await find_original(work.services, work.environment, work.job)
    if found is None or found.shown is not None:
        return found
    job, access = work.job, work.services.flow_access
    name, home = job.original.flow_name, job.environment_id
    seen = await call_as_co_owner(work, name, lambda: access.read_definition(home, name))
    return replace(found, shown=seen.client_data, description=seen.description)


async def find_original(
    services: Services, environment: Environment, job: FlowJob
) -> OriginalFlow | None:
    """Return the original of a job, or None if it no longer exists."""
    try:
        if environment.dataverse_url:
            row = await services.workflows.get(environment, job.original.id)
            return OriginalFlow(
                workflow_id=row.workflow_id,
                name=row.name,
                description=row.description,
                state=row.state,
                shown=row.client_data,
                owner_id=row.owner_id,
                owner_is_entra_id=False,
                is_managed=row.is_managed,
                etag=row.etag,
                modern_type=row.modern_type,
            )
    except NotFound:
        pass  # a flow outside solutions may have no row
    try:
        flow = await services.flow_reports.get_flow(job.environment_id, job.original.flow_name)
    except NotFound:
        return None
    except InvalidInput as err:
        text = f"The definition of {job.display_name} cannot be read: {err}."
        raise JobBlocked(text, code=Reason.DEFINITION_UNREADABLE) from err
    return OriginalFlow(
        workflow_id=job.original.id,
        name=flow.display_name,
        description=flow.description,
        state=flow.state,
        shown=flow.client_data,
        owner_id=flow.owner_id,
        owner_is_entra_id=True,
        is_managed=flow.is_managed,
        etag="",
    )
