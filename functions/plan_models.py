"""API models: plans and their approval."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from functions.environment_models import FlowId
from functions.http_requests import FORM_CONTEXT, Id, RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from functions.remediation_models import (
    EnvironmentId,
    EnvironmentJobResponse,
    FlowOwnerResponse,
    Some,
    remove_duplicates,
)
from shared.domain.conversions.conversion import ConversionKind
from shared.domain.environment import ApprovalPolicy, UrlSecretUse
from shared.domain.flow_owner import is_owned_by
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.plan_outlook import Outlook
from shared.use_cases.show_remediation import PlanView
from shared.validation_text import TextPattern

#: As many flows as a body has room for.
type Flows[T] = Annotated[tuple[T, ...], Field(max_length=7000), AfterValidator(remove_duplicates)]
type PlanVersion = Annotated[
    str,
    TextPattern(
        r"^[0-9a-f]{16}$", "Use the version that the plan shows: 16 digits and letters from a to f."
    ),
]


# --- requests ------------------------------------------------------------------------------------


class PlanQuery(RequestModel):
    """Which plans of a remediation to return, and in which format."""

    environment: EnvironmentId | None = None
    #: Default: HTML if the request accepts `text/html`, as browsers do.
    format: Literal["json", "html"] | None = None
    #: Only flows of these owners: part of a name, id or status, such as `disabled`.
    owner: Text | None = None


class ApproveRequest(RequestModel):
    """Approves plans, each by its version."""

    #: Plan versions; each identifies the plan of one environment.
    versions: Some[PlanVersion]
    #: Flows to exclude from the approval with all flows that run them: workflow ids, names or
    #: display names.
    excluded_flow_ids: Flows[FlowId] = ()
    #: Workflow ids of the flows to approve; the others are excluded. Default: all.
    included_flow_ids: Flows[Id] | None = None
    #: With `included_flow_ids`: the flows among which they were chosen; all other flows are
    #: approved as well. Default: all flows.
    offered_flow_ids: Flows[Id] | None = None
    approved_by: Text | None = None

    @model_validator(mode="after")
    def _require_choice_in_form(self, info: ValidationInfo) -> Self:
        """Reject a form that names no flows, because it would otherwise approve all flows."""
        if info.context is FORM_CONTEXT and self.choice is None:
            raise ValueError("Tick at least one flow.")
        return self

    @property
    def choice(self) -> tuple[str, ...] | None:
        """Return the flows to approve, or None for all.

        Returns an empty tuple if flows were offered and none was ticked.
        """
        if self.included_flow_ids is None and self.offered_flow_ids is not None:
            return ()
        return self.included_flow_ids


class UrlSecretRequest(RequestModel):
    """Chooses which callers of some flows refer to the flows' URL secrets."""

    #: Workflow ids, flow names or display names.
    flow_ids: Some[FlowId]
    use: UrlSecretUse


# --- answers -------------------------------------------------------------------------------------


class UrlSecretResponse(ApiResponse):
    """How many flows have the new choice, and the new versions of their plans."""

    flow_count: int
    #: The versions that their plans have now.
    versions: tuple[str, ...]


class PlannedCallerResponse(ApiResponse):
    """A known caller of an original, and how the plan changes it."""

    kind: str
    label: str
    #: Why the app cannot change the caller; empty if it can.
    manual_reason: str
    #: Why the caller keeps holding the URL; empty if the app makes it refer to a secret. Null if
    #: its kind cannot refer to secrets, or none is wanted.
    by_value_reason: str | None


class PlanItemResponse(ApiResponse):
    """What the plan knows about one flow and does with it."""

    workflow_id: str
    flow_name: str
    display_name: str
    #: Null if unknown.
    owner: FlowOwnerResponse | None
    category: str
    migration_method: MigrationMethod
    is_on: bool
    in_solution: bool
    microsoft_key_reasons: tuple[str, ...]
    action: PlannedAction
    message: str
    fix: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    http_hosts: tuple[str, ...]
    callers: tuple[PlannedCallerResponse, ...]
    #: Which callers refer to the flow's URL secret. Null: no caller of a flow that the app copies
    #: can refer to one.
    url_secret_use: UrlSecretUse | None
    #: Whether an approver can choose this before the approval.
    can_choose_url_secret: bool
    #: What `with_app_configuration` requires, and what suggests that it is met; empty: no caller is
    #: in App Configuration.
    unknown_readers: str
    notes: tuple[str, ...]
    unknowns: tuple[str, ...]
    planned_changes: tuple[str, ...]
    #: Conversions to a V2 trigger or action that are possible for the flow, independent of
    #: `action`.
    possible_conversions: tuple[ConversionKind, ...]
    #: The conversion as a unified diff, or why none is possible.
    conversion_preview: str
    #: Digest of the definition; it changes when the flow is edited.
    digest: str
    #: What has changed since the approval.
    changed_since_approval: tuple[str, ...]


class TriggerHostFlowResponse(ApiResponse):
    """A flow whose callers must reach a trigger host."""

    workflow_id: str
    display_name: str
    callers: tuple[str, ...]


class TriggerHostResponse(ApiResponse):
    """A host in the trigger URLs of copies. Callers must reach it on TCP 443."""

    host: str
    #: False if the host is derived from the environment id and not yet confirmed by a copy's URL.
    is_confirmed: bool
    flows: tuple[TriggerHostFlowResponse, ...]


class ExternalHostResponse(ApiResponse):
    """A host that flows call, whose owner must allow the flows' addresses."""

    host: str
    prefixes: tuple[str, ...]
    #: Ids of the first originals that call the host; `flow_count` is the number of all.
    workflow_ids: tuple[str, ...]
    flow_count: int


class FlowOutlookResponse(ApiResponse):
    """Whether and why a flow's migration is expected to pause."""

    workflow_id: str
    outlook: Outlook
    #: Id of the dependent flow whose pause it shares; empty if its pause is its own.
    waits_for: str


class PlanResponse(ApiResponse):
    """The plan of one environment."""

    environment_job: Annotated[
        EnvironmentJobResponse, AfterValidator(EnvironmentJobResponse.without_history)
    ]
    #: The version to approve; it changes whenever the plan changes.
    version: str
    #: The environment's policy now; null: it cannot be read. The plan cannot be approved then, nor
    #: with `read_only`.
    approval_policy: ApprovalPolicy | None
    #: Workflow ids of the flows that await approval.
    awaiting_flow_ids: tuple[str, ...]
    #: The flows; `owner` selects some of them, and changes no other member but `outlooks`.
    items: tuple[PlanItemResponse, ...]
    #: One for each item: whether it pauses, and why.
    outlooks: tuple[FlowOutlookResponse, ...]
    trigger_hosts: tuple[TriggerHostResponse, ...]
    #: Called hosts behind firewalls that the app cannot read.
    external_hosts: tuple[ExternalHostResponse, ...]


def build_plan_list_response(
    found: Iterable[PlanView], owner: str = ""
) -> ItemListResponse[PlanResponse]:
    """Return the plans of a remediation, with only the flows of `owner` if it is not empty."""
    return ItemListResponse[PlanResponse](
        items=tuple(_build_plan_response(plan, owner) for plan in found)
    )


def _build_plan_response(plan: PlanView, owner: str) -> PlanResponse:
    answer = PlanResponse.model_validate(plan)
    chosen = {one.workflow_id for one in plan.items if is_owned_by(one.owner, owner)}
    return answer.model_copy(
        update={
            "items": tuple(one for one in answer.items if one.workflow_id in chosen),
            "outlooks": tuple(one for one in answer.outlooks if one.workflow_id in chosen),
        }
    )
