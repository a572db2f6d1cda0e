"""API models: environments and their settings."""

import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from functions.http_requests import WHOLE_NUMBER, RequestModel, Text
from functions.http_responses import ApiResponse
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.maintenance_window import is_valid_window
from shared.use_cases.change_environment import EnvironmentView
from shared.validation_text import TextPattern

_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
#: As HTML defines it.
_EMAIL_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"


def _require_valid_window(text: str) -> str:
    if not is_valid_window(text):
        raise ValueError("Use HH:MM-HH:MM in UTC with two different times, or an empty text.")
    return text


def _normalize_email_address(text: str) -> str:
    if not re.search(_EMAIL_ADDRESS, text):
        raise ValueError("Use one e-mail address, such as owner@contoso.com.")
    return text.lower()


type Window = Annotated[
    str,
    Field(json_schema_extra={"pattern": rf"^({_TIME}-{_TIME})?$"}),
    AfterValidator(_require_valid_window),
]
#: A flow: its workflow id, its name in the flow service, or its display name.
type FlowId = Text
type ResourceId = Annotated[
    str,
    StringConstraints(max_length=500),
    TextPattern(
        r"^/subscriptions/[^/\x00- ]+/resourceGroups/[^\x00- ]+$",
        "Use the resource id of the Azure resource, such as /subscriptions/SUBSCRIPTION"
        "/resourceGroups/GROUP/providers/Microsoft.KeyVault/vaults/NAME.",
    ),
    AfterValidator(str.lower),
]


#: An e-mail address, which a flow can use as a recipient.
type EmailAddress = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    Field(json_schema_extra={"pattern": _EMAIL_ADDRESS}),
    AfterValidator(_normalize_email_address),
]


type SettingsVersion = Annotated[
    str, TextPattern(r"^[0-9a-f]{16}$", "Use the version of the settings that you read.")
]
_SEEN = "seen_version"


def _set_minimum_property_count(schema: dict[str, Any]) -> None:
    settings = [name for name in schema["properties"] if name != _SEEN]
    schema |= {"minProperties": 1, "anyOf": [{"required": [name]} for name in settings]}


class EnvironmentSettingsRequest(RequestModel):
    """Settings of an environment. A setting that the request omits keeps its value."""

    model_config = ConfigDict(json_schema_extra=_set_minimum_property_count)

    approval_policy: ApprovalPolicy | None = None
    #: Maximum number of flows per remediation.
    max_flows: Annotated[int, Field(ge=1, le=10_000), WHOLE_NUMBER] | None = None
    #: Workflow ids, flow names or display names.
    excluded_flows: frozenset[FlowId] | None = None
    pilot_flows: frozenset[FlowId] | None = None
    maintenance_window: Window | None = None
    #: Ids of Azure resources that the app may change to fix firewall issues.
    writable_firewalls: Annotated[frozenset[ResourceId], Field(max_length=200)] | None = None
    #: Whether the app may read the headers of calls to originals, to show who still calls.
    observe_callers: bool | None = None
    #: Whether the daily check reports yesterday's failed runs.
    report_failed_runs: bool | None = None
    #: E-mail addresses that notifications about the environment name as their recipients.
    notification_recipients: Annotated[frozenset[EmailAddress], Field(max_length=20)] | None = None
    #: Name of an ignored firewall issue → justification.
    ignored_issues: Annotated[dict[Text, Text], Field(max_length=200)] | None = None
    #: Whether callers may refer to URL secrets, if the app has a vault for them.
    has_url_secrets: bool | None = None
    #: Whether keys of App Configuration may refer to them too: their readers must then resolve Key
    #: Vault references and may need a right to the vault, which the app cannot check.
    has_url_secrets_in_app_configuration: bool | None = None
    #: `version` of the settings that were read; if they have changed since, nothing is changed.
    seen_version: SettingsVersion | None = None

    @model_validator(mode="after")
    def _require_a_member(self) -> Self:
        if not self.changes():
            known = sorted(type(self).model_fields.keys() - {_SEEN})
            raise ValueError(f"Give at least one of {', '.join(known)}")
        return self

    def changes(self) -> dict[str, Any]:
        """Return the settings that the request changes, by their name in the domain."""
        return {name: getattr(self, name) for name in self.model_fields_set - {_SEEN}}


class IgnoreIssueRequest(RequestModel):
    """Ignores one firewall issue in an environment, and says why."""

    #: The issue's name, as a finding or a blocked job shows it.
    issue: Text
    justification: Text


class IgnoreIssueResponse(ApiResponse):
    """An ignored firewall issue, and how many jobs are retried."""

    issue: str
    #: Number of jobs that were retried.
    retried_count: int


class FlowNameResponse(ApiResponse):
    """A flow with its id and name."""

    id: str
    name: str


class PolicyLinkResponse(ApiResponse):
    """The enterprise policy that is linked to an environment."""

    policy_id: str
    status: str


_SortedTexts = Annotated[list[str], BeforeValidator(sorted)]


class EnvironmentSettingsResponse(ApiResponse):
    """The settings of an environment."""

    approval_policy: ApprovalPolicy
    max_flows: int
    excluded_flows: _SortedTexts
    pilot_flows: _SortedTexts
    maintenance_window: str
    writable_firewalls: _SortedTexts
    observe_callers: bool
    report_failed_runs: bool
    notification_recipients: _SortedTexts
    ignored_issues: dict[str, str]
    has_url_secrets: bool
    has_url_secrets_in_app_configuration: bool
    #: Changes with every setting.
    version: str


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
    #: Null if the environment is not on a customer-managed key.
    policy: PolicyLinkResponse | None
    settings: EnvironmentSettingsResponse

    @classmethod
    def build(cls, shown: EnvironmentView) -> Self:
        environment = shown.environment
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
            settings=EnvironmentSettingsResponse.model_validate(shown.settings),
        )
