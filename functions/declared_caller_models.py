"""API models: systems that call flows and that people declared."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from functions.http_requests import MAX_BODY_BYTES, WHOLE_NUMBER, Id, RequestModel, Text
from functions.http_responses import ApiResponse
from shared.domain.callers.declared_caller import (
    CalledFlow,
    DeclaredCaller,
    build_declared_caller_id,
)
from shared.domain.callers.secret_caller import IDENTIFIER
from shared.domain.ids import normalize_environment_id
from shared.validation_text import TextPattern

#: Maximum number of callers of one request, of flows of a caller, and of hosts of a caller.
_MAX_CALLERS = 200
_MAX_FLOWS = 100
_MAX_HOSTS = 50


def _require_at_least_one_flow[T](values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("Give at least one flow.")
    return values


_HOST = r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_HOSTS_PATTERN = rf"^{_HOST}( {_HOST}){{0,{_MAX_HOSTS - 1}}}$"
_HOSTS_FORM = (
    f"Use at most {_MAX_HOSTS} hosts, separated by blanks, such as api.contoso.example "
    "*.contoso.example."
)
type HostPattern = Annotated[
    str,
    TextPattern(rf"^{_HOST}$", "Use a host, such as api.contoso.example or *.contoso.example."),
    AfterValidator(str.lower),
]


def _normalize_network(text: str) -> str:
    return str(ip_network(text, strict=False))


_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}[.]){{3}}{_OCTET}(/([12]?[0-9]|3[0-2]))?"
_IPV6 = "([0-9A-Fa-f]{1,4}:){2,3}:/(3[2-9]|4[0-8])"
#: An IPv4 address or network, or an IPv6 network of 32 to 48 bits, such as `2001:db8:1::/48`.
type Network = Annotated[
    str,
    TextPattern(
        f"^({_IPV4}|{_IPV6})$",
        "Use an IPv4 address or network, such as 203.0.113.0/24, or an IPv6 network of 32 to 48 "
        "bits, such as 2001:db8:1::/48.",
    ),
    AfterValidator(_normalize_network),
]
#: The first product of a user agent, with or without its version up to the minor number.
type UserAgent = Annotated[
    str,
    TextPattern(
        r"^[A-Za-z][A-Za-z._-]{0,39}[0-9]{0,2}(/[0-9]{1,4}([.][0-9]{1,4})?)?$",
        "Use a product, with or without its version, such as curl or curl/8.5.",
    ),
]
type TriggerUrlId = Annotated[
    str,
    TextPattern(r"^[0-9A-Fa-f]{32}$", "Use the 32 digits after /workflows/ in the trigger URL."),
    AfterValidator(str.lower),
]


type SecretId = Annotated[
    str,
    TextPattern(
        IDENTIFIER,
        "Use the secret's URL without a version: https://VAULT.vault.azure.net/secrets/NAME.",
    ),
]


class CalledFlowRequest(RequestModel):
    """A flow that a declared caller calls.

    Names the flow by `environment_id` and `flow`, by `trigger_url_id`, or by all three.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["environment_id", "flow"]},
                {
                    "required": ["trigger_url_id"],
                    "properties": {"environment_id": False, "flow": False},
                },
            ]
        }
    )

    environment_id: Id | None = None
    #: Workflow id, flow name or display name.
    flow: Text | None = None
    #: The 32 hex digits after `/workflows/` in the trigger URL.
    trigger_url_id: TriggerUrlId | None = None
    #: Identifier of a Key Vault secret for this flow and caller alone, without a version. The app
    #: writes the new URL into it.
    new_url_secret: SecretId | None = None

    @model_validator(mode="after")
    def _require_a_flow(self) -> Self:
        if (self.environment_id is None) != (self.flow is None):
            raise ValueError("Give environment_id and flow together.")
        if self.flow is None and self.trigger_url_id is None:
            raise ValueError("Give environment_id and flow, or trigger_url_id.")
        return self

    def to_called_flow(self) -> CalledFlow:
        """Return the called flow. Its `flow_id` may still be a name."""
        return CalledFlow(
            environment_id=normalize_environment_id(self.environment_id or ""),
            flow_id=self.flow or "",
            trigger_url_id=self.trigger_url_id or "",
            new_url_secret=self.new_url_secret or "",
        )


class DeclaredCallerRequest(RequestModel):
    """A system outside Power Platform and Azure that calls flows."""

    #: Identifies the caller; case does not matter.
    name: Text
    #: Who can change the system.
    owner: Text
    #: How to reach the owner.
    contact: Text
    flows: Annotated[
        tuple[CalledFlowRequest, ...],
        Field(max_length=_MAX_FLOWS, json_schema_extra={"minItems": 1}),
        # Not min_length, which also counts the entries that are not valid.
        AfterValidator(_require_at_least_one_flow),
    ]
    #: Characters of the longest URL that the system can hold.
    max_url_length: Annotated[int, Field(ge=1, le=100_000), WHOLE_NUMBER] | None = None
    #: Hosts that the system may call, such as `*.contoso.example`; empty: any.
    allowed_hosts: Annotated[tuple[HostPattern, ...], Field(max_length=_MAX_HOSTS)] = ()
    #: First product of the user agent of its calls, such as `curl` or `curl/8.5`.
    user_agent: UserAgent | None = None
    #: Networks that its calls come from, such as `203.0.113.0/24`.
    networks: Annotated[tuple[Network, ...], Field(max_length=_MAX_HOSTS)] = ()
    #: How the system authenticates to the flow.
    authentication: Text | None = None
    #: How to notify the owner of a change.
    notification: Text | None = None

    def to_declared_caller(self) -> DeclaredCaller:
        """Return the declared caller. The `flow_id` of each flow may still be a name."""
        return DeclaredCaller(
            name=self.name,
            owner=self.owner,
            contact=self.contact,
            flows=tuple(one.to_called_flow() for one in self.flows),
            max_url_length=self.max_url_length,
            allowed_hosts=self.allowed_hosts,
            user_agent=self.user_agent or "",
            networks=self.networks,
            authentication=self.authentication or "",
            notification=self.notification or "",
        )


class DeclareCalledFlowRequest(CalledFlowRequest):
    """Declares one flow of a caller. The caller's other flows stay declared."""

    name: Text
    owner: Text
    contact: Text
    #: Characters of the longest URL that the system can hold.
    max_url_length: Annotated[int, Field(ge=1, le=100_000), WHOLE_NUMBER] | None = None
    #: Hosts that the system may call, separated by blanks; omitted: any.
    allowed_hosts: Annotated[str, TextPattern(_HOSTS_PATTERN, _HOSTS_FORM)] | None = None
    authentication: Text | None = None
    notification: Text | None = None

    def to_declared_caller(self) -> DeclaredCaller:
        """Return the caller with only this flow. The `flow_id` of the flow may still be a name."""
        return DeclaredCaller(
            name=self.name,
            owner=self.owner,
            contact=self.contact,
            flows=(self.to_called_flow(),),
            max_url_length=self.max_url_length,
            allowed_hosts=tuple((self.allowed_hosts or "").lower().split()),
            authentication=self.authentication or "",
            notification=self.notification or "",
        )


class DeclareCallersRequest(RequestModel):
    """Declares callers, each with all its flows."""

    callers: Annotated[tuple[DeclaredCallerRequest, ...], Field(max_length=_MAX_CALLERS)]

    @model_validator(mode="after")
    def _reject_same_names(self) -> Self:
        names: dict[str, str] = {}
        for one in self.callers:
            identity = build_declared_caller_id(one.name)
            if identity in names:
                raise ValueError(f"{one.name} is declared twice. Use one entry with all flows.")
            names[identity] = one.name
        return self


class CallerFileRequest(RequestModel):
    """The text of a CSV file of callers, with one line for each flow.

    It has the columns that `cmkflow caller declare` reads. Of a trigger URL, only the id is stored.
    """

    file: Annotated[str, StringConstraints(max_length=MAX_BODY_BYTES)]


class RemoveDeclaredCallerRequest(RequestModel):
    """Names the declared caller to remove."""

    name: Text


class ConfirmCallerRequest(RequestModel):
    """Confirms that a declared caller calls a flow's copy, or in a rollback its original."""

    name: Text
    #: Workflow id, flow name or display name of the original.
    flow: Text
    confirmed_by: Text | None = None


class CalledFlowResponse(ApiResponse):
    """A flow that a declared caller calls. Members that are not known are empty."""

    environment_id: str
    flow_id: str
    #: The name or id by which it was declared.
    display_name: str
    trigger_url_id: str
    new_url_secret: str
    #: The flow that it calls now, as last confirmed.
    confirmed_flow_id: str
    confirmed_trigger_url_id: str
    confirmed_by: str
    confirmed_at: datetime | None


class DeclaredCallerResponse(ApiResponse):
    """A system that a person declared as a caller, with the flows that it calls."""

    name: str
    owner: str
    contact: str
    flows: tuple[CalledFlowResponse, ...]
    max_url_length: int | None
    allowed_hosts: tuple[str, ...]
    user_agent: str
    networks: tuple[str, ...]
    authentication: str
    notification: str


class ConfirmCallerResponse(ApiResponse):
    """What was confirmed: the declared caller, the flow, and whether it calls the flow's copy."""

    caller: DeclaredCallerResponse
    #: Name of the flow.
    display_name: str
    #: It calls the copy; false: the original again.
    calls_copy: bool
    #: Number of jobs that were retried.
    retried_count: int
