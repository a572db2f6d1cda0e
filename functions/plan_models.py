"""What the API says about plans, and how they are approved."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from functions.environment_models import FlowId
from functions.http_requests import Request, Text
from functions.http_responses import Answer, ItemList
from functions.remediation_models import EnvironmentId, EnvironmentJobAnswer, Once, Some
from shared.domain.conversions.conversion import Edit
from shared.domain.jobs.flow_job import Pattern
from shared.domain.plans.plan_item import PlannedAction
from shared.use_cases.show_remediation import ShownPlan

type PlanVersion = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


# --- requests ------------------------------------------------------------------------------------


class PlanQuery(Request):
    """Which plan to show, and how."""

    environment: EnvironmentId | None = None
    #: Left out: a page for whoever accepts `text/html`, as browsers do.
    format: Literal["json", "html"] | None = None


class ApprovalOrder(Request):
    """Approves plans as they were shown."""

    #: Versions of plans; each is the plan of one environment.
    versions: Some[PlanVersion]
    #: Flows that are left as they are, with all that runs them, by workflow id, flow name or title.
    except_flows: Once[FlowId] = ()
    by: Text | None = None


# --- answers -------------------------------------------------------------------------------------


class PlannedCallerAnswer(Answer):
    """A known caller of an original."""

    kind: str
    label: str
    #: Why the app cannot change it; empty: it can.
    manual: str


class PlanItemAnswer(Answer):
    """What the plan says about one flow."""

    workflow_id: str
    flow_name: str
    display_name: str
    category: str
    pattern: Pattern
    is_on: bool
    in_solution: bool
    reasons: tuple[str, ...]
    action: PlannedAction
    explanation: str
    instruction: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    http_hosts: tuple[str, ...]
    callers: tuple[PlannedCallerAnswer, ...]
    notes: tuple[str, ...]
    not_known: tuple[str, ...]
    writes: tuple[str, ...]
    #: What could be converted to a second version, whatever is done with the flow.
    edits: tuple[Edit, ...]
    #: The converted definition as a unified difference, or why there is none.
    proposal: str
    #: Of its definition: another one says that it was edited.
    digest: str
    #: What has changed since it was approved.
    changed: tuple[str, ...]


class OutgoingFlowAnswer(Answer):
    """A flow whose callers have to reach a host."""

    workflow_id: str
    display_name: str
    callers: tuple[str, ...]


class OutgoingHostAnswer(Answer):
    """A host that callers of copies have to reach, on TCP 443."""

    host: str
    #: False: no copy's URL has shown it yet; the environment's id tells it.
    is_seen: bool
    flows: tuple[OutgoingFlowAnswer, ...]


class ExternalTargetAnswer(Answer):
    """A host whose owner has to be asked to let flows in."""

    host: str
    prefixes: tuple[str, ...]
    #: The first of the originals that call it, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flows: int


class PlanAnswer(Answer):
    """The plan of one environment."""

    environment_job: Annotated[
        EnvironmentJobAnswer, AfterValidator(EnvironmentJobAnswer.without_history)
    ]
    #: What an approval of this plan has to name; it changes with all that is shown.
    version: str
    #: Workflow ids of the flows that such an approval is about.
    awaiting: tuple[str, ...]
    items: tuple[PlanItemAnswer, ...]
    outgoing: tuple[OutgoingHostAnswer, ...]
    #: Hosts of others that the flows call.
    external_targets: tuple[ExternalTargetAnswer, ...]


def plans_of(found: Iterable[ShownPlan]) -> ItemList[PlanAnswer]:
    """Return what stands at the address of a remediation's plan."""
    return ItemList[PlanAnswer](items=tuple(map(PlanAnswer.model_validate, found)))
