"""Define the callers that people declare: systems that the app cannot search."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.callers.caller import Caller
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
    #: The ids of the flow that it calls now, as last confirmed; empty: as declared.
    confirmed_flow_id: str = ""
    confirmed_trigger_url_id: str = ""
    confirmed_by: str = ""
    confirmed_at: datetime | None = None

    @property
    def id(self) -> str:
        """Return an id that stays the same when the caller is declared again."""
        return hash_key(self.environment_id, self.flow_id, self.trigger_url_id)

    @property
    def current_flow_id(self) -> str:
        """Return the id of the flow that it calls now; empty: unknown."""
        return self.confirmed_flow_id or self.flow_id

    @property
    def current_trigger_url_id(self) -> str:
        """Return the trigger URL id that it calls now; empty: unknown."""
        return self.confirmed_trigger_url_id or self.trigger_url_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCaller:
    """A system outside Power Platform and Azure that calls flows."""

    name: str
    #: Who can change the system, and how to reach them.
    owner: str
    contact: str
    flows: tuple[CalledFlow, ...]
    #: Characters of the longest URL that the system can hold; None: unknown.
    max_url_length: int | None = None
    #: Hosts that the system may call, such as `*.contoso.example`; empty: any.
    allowed_hosts: tuple[str, ...] = ()
    #: How the system authenticates to the flow, for people.
    authentication: str = ""
    #: How to notify the owner of a change, for people.
    notification: str = ""

    @property
    def id(self) -> str:
        """Return the id of its name, which ignores case."""
        return declared_caller_id(self.name)


def declared_caller_id(name: str) -> str:
    """Return the id of the caller with a name, which ignores case and outer blanks."""
    return hash_key(DECLARED_CALLER, name.strip().casefold())


def callers_of(declared: DeclaredCaller) -> list[Caller]:
    """Return a declared caller once for each flow that it calls."""
    ask = f"Ask {declared.owner} ({declared.contact}) to make {declared.name} call the"
    confirm = f'Then confirm it: cmkflow caller confirm "{declared.name}" --flow FLOW.'
    return [
        Caller(
            kind=DECLARED_CALLER,
            address=f"{declared.id}/{flow.id}",
            label=f"declared caller {declared.name} of {declared.owner}",
            resource_id=f"{DECLARED_CALLER}/{declared.id}",
            environment_id=flow.environment_id or None,
            trigger_url_ids=frozenset({flow.current_trigger_url_id} - {""}),
            child_flow_ids=frozenset({flow.current_flow_id} - {""}),
            manual_reason=f"{ask} copy. {confirm}",
            revert_reason=f"{ask} original again. {confirm}",
            max_url_length=declared.max_url_length,
            allowed_hosts=declared.allowed_hosts,
        )
        for flow in declared.flows
    ]
