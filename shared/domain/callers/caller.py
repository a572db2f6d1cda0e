"""Define the caller, a place with the trigger URL or id of a flow."""

from collections.abc import Mapping
from dataclasses import dataclass

#: For `Caller.manual_reason`: why a person has to change a caller whose URL is not replaceable.
FILLED_IN = (
    "It builds the URL's signature or query from another value, runs a fixed version of the flow, "
    "or has percent-encoded only a part of the URL. Change the whole URL, or that value."
)

#: The same for a part of a managed solution.
MANAGED = (
    "It is part of a managed solution. Change it in the environment where the solution is "
    "developed, and import the solution again."
)

#: Kinds whose write restarts the app that contains the place.
RESTARTING_KINDS = frozenset({"app_setting", "connection_string", "container_app"})
#: Kinds whose places are read by apps that the app does not know.
UNKNOWN_READER_KINDS = frozenset({"app_configuration"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A place that holds trigger URLs or flow ids."""

    #: Its caller kind, named after a file of `shared/callers/`: `flow`, `app_setting`, …
    kind: str
    #: Where the place is, in a format that only its kind reads.
    address: str
    #: For people: what it is and where; holds no secret.
    label: str
    #: The resource that is written as a whole. Only one job at a time may write it.
    resource_id: str
    #: The environment that contains the place; None: outside Power Platform.
    environment_id: str | None = None
    #: Dataverse id where the place is a flow.
    workflow_id: str | None = None
    #: 32-hex ids of the trigger URLs that the place holds.
    trigger_url_ids: frozenset[str] = frozenset()
    #: Those of them whose URL has a host that no longer serves flows (`is_retired`).
    retired_url_ids: frozenset[str] = frozenset()
    #: It holds one trigger URL and nothing else.
    is_only_url: bool = False
    #: Lower-case Dataverse ids of the child flows that it runs.
    child_flow_ids: frozenset[str] = frozenset()
    #: Why the app cannot write the place; empty: it can.
    manual_reason: str = ""
    #: How a person makes a manual caller use the original again; empty: by changing the place.
    revert_reason: str = ""
    #: It calls a URL only after the flow has answered Event Grid's validation.
    is_validated_by_event_grid: bool = False
    #: Characters of the longest URL that it can hold; None: unknown, or no limit matters.
    max_url_length: int | None = None
    #: Hosts that it may call, such as `*.contoso.example`; empty: any.
    allowed_hosts: tuple[str, ...] = ()
    #: It is for the trigger URL of one flow alone, so the app creates it if it is missing.
    is_created_if_missing: bool = False
    #: Tags with which it is created: names and values.
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerContent:
    """The content of a caller, as read or to be written. `text` may hold signatures: never log or
    store it.
    """

    text: str
    #: Changes with every write; empty where the platform has none.
    etag: str = ""
    #: By address, a digest of every value that the same write replaces. None: the write replaces
    #: nothing else, or the platform's ETag rejects a write that is based on older values.
    surrounding_digests: Mapping[str, str] | None = None
    #: The owner's id in Dataverse, where the value is the definition of a flow.
    owner_id: str = ""
    #: What a reference to a secret would replace beside the text, such as a content type, in a
    #: format that only its kind reads. None: nothing.
    text_format: str | None = None
    #: The user on whose behalf such a definition is saved; None: as the app.
    on_behalf_of: str | None = None

    def __repr__(self) -> str:
        """Return a text without the content, which may hold a secret."""
        return f"CallerContent(<{len(self.text)} characters>)"


def build_flow_caller(environment_id: str, workflow_id: str, name: str) -> Caller:
    """Return a cloud flow as a caller."""
    return Caller(
        kind="flow",
        address=f"{environment_id}/{workflow_id}",
        label=f"flow {name}",
        resource_id=f"flow/{environment_id}/{workflow_id}",
        environment_id=environment_id,
        workflow_id=workflow_id,
    )
