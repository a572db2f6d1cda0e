"""What the API says about plans, and how they are approved."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from functions.environment_models import FlowId
from functions.http_requests import RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from functions.remediation_models import EnvironmentId, EnvironmentJobResponse, Once, Some
from shared.domain.conversions.conversion import ConversionKind
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlannedAction
from shared.use_cases.show_remediation import PlanView

type PlanVersion = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


# --- requests ------------------------------------------------------------------------------------


class PlanQuery(RequestModel):
    """Which plan to show, and how."""

    environment: EnvironmentId | None = None
    #: Left out: a page for whoever accepts `text/html`, as browsers do.
    format: Literal["json", "html"] | None = None


class ApproveRequest(RequestModel):
    """Approves plans as they were shown."""

    #: Versions of plans; each is the plan of one environment.
    versions: Some[PlanVersion]
    #: Flows that are left as they are, with all that runs them, by workflow id, flow name or title.
    except_flows: Once[FlowId] = ()
    by: Text | None = None


# --- answers -------------------------------------------------------------------------------------


class PlannedCallerResponse(ApiResponse):
    """A known caller of an original."""

    kind: str
    label: str
    #: Why the app cannot change it; empty: it can.
    manual: str


class PlanItemResponse(ApiResponse):
    """What the plan says about one flow."""

    workflow_id: str
    flow_name: str
    display_name: str
    category: str
    pattern: MigrationMethod
    is_on: bool
    in_solution: bool
    reasons: tuple[str, ...]
    action: PlannedAction
    explanation: str
    instruction: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    http_hosts: tuple[str, ...]
    callers: tuple[PlannedCallerResponse, ...]
    notes: tuple[str, ...]
    not_known: tuple[str, ...]
    writes: tuple[str, ...]
    #: What could be converted to a second version, whatever is done with the flow.
    edits: tuple[ConversionKind, ...]
    #: The converted definition as a unified difference, or why there is none.
    proposal: str
    #: Of its definition: another one says that it was edited.
    digest: str
    #: What has changed since it was approved.
    changed: tuple[str, ...]


class TriggerHostFlowResponse(ApiResponse):
    """A flow whose callers have to reach a host."""

    workflow_id: str
    display_name: str
    callers: tuple[str, ...]


class TriggerHostResponse(ApiResponse):
    """A host that callers of copies have to reach, on TCP 443."""

    host: str
    #: False: no copy's URL has shown it yet; the environment's id tells it.
    is_seen: bool
    flows: tuple[TriggerHostFlowResponse, ...]


class ExternalHostResponse(ApiResponse):
    """A host whose owner has to be asked to let flows in."""

    host: str
    prefixes: tuple[str, ...]
    #: The first of the originals that call it, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flows: int


class PlanResponse(ApiResponse):
    """The plan of one environment."""

    environment_job: Annotated[
        EnvironmentJobResponse, AfterValidator(EnvironmentJobResponse.without_history)
    ]
    #: What an approval of this plan has to name; it changes with all that is shown.
    version: str
    #: Workflow ids of the flows that such an approval is about.
    awaiting: tuple[str, ...]
    items: tuple[PlanItemResponse, ...]
    outgoing: tuple[TriggerHostResponse, ...]
    #: Hosts of others that the flows call.
    external_targets: tuple[ExternalHostResponse, ...]


def plans_of(found: Iterable[PlanView]) -> ItemListResponse[PlanResponse]:
    """Return what stands at the address of a remediation's plan."""
    return ItemListResponse[PlanResponse](items=tuple(map(PlanResponse.model_validate, found)))
