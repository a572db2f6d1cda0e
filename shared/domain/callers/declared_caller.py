"""Define the callers that people declare: systems that the app cannot search."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.callers.caller import Caller
from shared.domain.callers.secret_caller import build_secret_caller, format_secret, parse_secret_id
from shared.domain.ids import hash_key

#: The caller kind, and the partition of its rows.
DECLARED_CALLER = "declared_caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFlow:
    """A flow that a declared caller calls."""

    #: Empty: only the trigger URL id is known.
    environment_id: str = ""
    #: The flow's id in lower case, as declared; empty: only the trigger URL id is known.
    flow_id: str = ""
    #: 32 hex digits in lower case, as declared; empty: unknown.
    trigger_url_id: str = ""
    #: The name or id by which it was declared.
    display_name: str = ""
    #: Identifier of the Key Vault secret from which the caller reads the new URL; empty: none.
    new_url_secret: str = ""
    #: The ids of the flow that it calls now, as last confirmed; empty: as declared.
    confirmed_flow_id: str = ""
    confirmed_trigger_url_id: str = ""
    confirmed_by: str = ""
    confirmed_at: datetime | None = None

    @property
    def id(self) -> str:
        """Return an id that is derived from the declared ids."""
        return hash_key(self.environment_id, self.flow_id, self.trigger_url_id)

    @property
    def current_flow_id(self) -> str:
        """Return the id of the flow that the caller calls now, or "" if it is unknown."""
        return self.confirmed_flow_id or self.flow_id

    @property
    def current_trigger_url_id(self) -> str:
        """Return the id of the trigger URL that the caller calls now, or "" if it is unknown."""
        return self.confirmed_trigger_url_id or self.trigger_url_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCaller:
    """A system that calls flows, declared by a person because the app cannot search it."""

    name: str
    #: Who can change the system, and how to reach them.
    owner: str
    contact: str
    flows: tuple[CalledFlow, ...]
    #: Characters of the longest URL that the system can hold; None: unknown.
    max_url_length: int | None = None
    #: Hosts that the system may call, such as `*.contoso.example`; empty: any.
    allowed_hosts: tuple[str, ...] = ()
    #: What its calls have as the first product of the user agent, such as `curl` or `curl/8.5`, and
    #: the networks that they come from, such as `203.0.113.0/24`; empty: unknown.
    user_agent: str = ""
    networks: tuple[str, ...] = ()
    #: How the system authenticates to the flow, for people.
    authentication: str = ""
    #: How to notify the owner of a change, for people.
    notification: str = ""

    @property
    def id(self) -> str:
        """Return the caller's id, which `build_declared_caller_id` derives from its name."""
        return build_declared_caller_id(self.name)


def build_declared_caller_id(name: str) -> str:
    """Return the id of the caller with this name. Ignores case, and blanks around the name."""
    return hash_key(DECLARED_CALLER, name.strip().casefold())


def build_callers_of_declaration(declared: DeclaredCaller) -> list[Caller]:
    """Return a caller for each flow that a declared caller calls."""
    return [_build_caller(declared, flow) for flow in declared.flows]


def build_secret_callers(declared: DeclaredCaller) -> list[Caller]:
    """Return, as callers, the Key Vault secrets from which a declared caller reads new URLs."""
    return [
        replace(
            place,
            label=f"{place.label}, for the {_format_label(declared)}",
            environment_id=flow.environment_id or None,
            trigger_url_ids=frozenset({flow.current_trigger_url_id} - {""}),
            child_flow_ids=frozenset({flow.current_flow_id} - {""}),
            is_created_if_missing=True,
        )
        for flow in declared.flows
        if flow.new_url_secret
        for place in [build_secret_caller(*parse_secret_id(flow.new_url_secret))]
    ]


def describe_place_of_new_url(flow: CalledFlow) -> str:
    """Return a text that says where the owner of a caller finds the copy's URL."""
    if flow.new_url_secret:
        return f"The new URL is in the {format_secret(flow.new_url_secret)}."
    return (
        "An owner of the copy finds the new URL in Power Automate, in the trigger of the flow. "
        "Send it as you send a password."
    )


def _build_caller(declared: DeclaredCaller, flow: CalledFlow) -> Caller:
    ask = f"Ask {declared.owner} ({declared.contact}) to make {declared.name} call the"
    confirm = f'Then confirm it: cmkflow caller confirm "{declared.name}" --flow FLOW.'
    return Caller(
        kind=DECLARED_CALLER,
        address=f"{declared.id}/{flow.id}",
        label=_format_label(declared),
        resource_id=f"{DECLARED_CALLER}/{declared.id}",
        environment_id=flow.environment_id or None,
        trigger_url_ids=frozenset({flow.current_trigger_url_id} - {""}),
        child_flow_ids=frozenset({flow.current_flow_id} - {""}),
        manual_reason=f"{ask} copy. {describe_place_of_new_url(flow)} {confirm}",
        revert_reason=f"{ask} original again. {confirm}",
        max_url_length=declared.max_url_length,
        allowed_hosts=declared.allowed_hosts,
    )


def _format_label(declared: DeclaredCaller) -> str:
    return f"declared caller {declared.name} of {declared.owner}"
