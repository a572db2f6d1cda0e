"""What the API says about environments, and what may be said to it."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from functions.http_requests import RequestModel, Text
from functions.http_responses import ApiResponse
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.maintenance_window import is_valid_window
from shared.use_cases.change_environment import EnvironmentView


def _whole(number: object) -> object:
    """Take 5.0 for 5, as JSON does."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _window(text: str) -> str:
    if not is_valid_window(text):
        raise ValueError("a window is HH:MM-HH:MM in UTC with two different times, or empty")
    return text


def _lower(text: str) -> str:
    return text.lower()


type Window = Annotated[
    str,
    Field(json_schema_extra={"pattern": rf"^({_TIME}-{_TIME})?$"}),
    AfterValidator(_window),
]
#: Of a flow: its workflow id, its name in the flow service, or its title.
type FlowId = Text
type ResourceId = Annotated[
    str,
    StringConstraints(
        pattern=r"^/subscriptions/[^/\x00- ]+/resourceGroups/[^\x00- ]+$", max_length=500
    ),
    AfterValidator(_lower),
]


class EnvironmentSettingsRequest(RequestModel):
    """Settings of an environment; those that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    mode: ApprovalPolicy | None = None
    #: Flows per remediation.
    limit: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_whole)] | None = None
    #: Workflow ids, flow names or titles.
    excluded_flows: frozenset[FlowId] | None = None
    first_wave: frozenset[FlowId] | None = None
    maintenance_window: Window | None = None
    #: Ids of Azure resources that plans may open.
    repaired_resources: Annotated[frozenset[ResourceId], Field(max_length=200)] | None = None
    #: Name of a gap → why it is accepted.
    waived_gaps: Annotated[dict[Text, Text], Field(max_length=200)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"name at least one of {', '.join(sorted(type(self).model_fields))}")
        return self

    def changes(self) -> dict[str, Any]:
        """Return what was said, by field of the settings."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class IgnoreIssueRequest(RequestModel):
    """Accepts one firewall gap."""

    #: As a finding or a blocked job names it.
    gap: Text
    reason: Text


class IgnoreIssueResponse(ApiResponse):
    """What a waiver did."""

    gap: str
    #: Jobs that go on.
    retried: int


class FlowNameResponse(ApiResponse):
    """A flow by the id that orders take."""

    id: str
    name: str


class PolicyLinkResponse(ApiResponse):
    """The encryption policy an environment names."""

    policy_id: str
    status: str


class EnvironmentSettingsResponse(ApiResponse):
    """What an administrator decided for an environment."""

    mode: ApprovalPolicy
    limit: int
    excluded_flows: list[str]
    first_wave: list[str]
    maintenance_window: str
    repaired_resources: list[str]
    waived_gaps: dict[str, str]


class EnvironmentResponse(ApiResponse):
    """An environment and its settings."""

    id: str
    display_name: str
    geography: str
    region: str
    sku: str
    is_managed: bool | None
    is_enabled: bool
    has_dataverse: bool
    #: None: it is not under a customer-managed key.
    policy: PolicyLinkResponse | None
    settings: EnvironmentSettingsResponse

    @classmethod
    def of(cls, shown: EnvironmentView) -> Self:
        """Return the answer about one environment."""
        environment, settings = shown.environment, shown.settings
        return cls(
            id=environment.id,
            display_name=environment.display_name,
            geography=environment.geography,
            region=environment.region,
            sku=environment.sku,
            is_managed=environment.is_managed,
            is_enabled=environment.is_enabled,
            has_dataverse=environment.dataverse_url is not None,
            policy=PolicyLinkResponse.model_validate(environment.policy)
            if environment.policy
            else None,
            settings=EnvironmentSettingsResponse(
                mode=settings.mode,
                limit=settings.limit,
                excluded_flows=sorted(settings.excluded_flows),
                first_wave=sorted(settings.first_wave),
                maintenance_window=settings.maintenance_window,
                repaired_resources=sorted(settings.repaired_resources),
                waived_gaps=settings.waived_gaps,
            ),
        )
