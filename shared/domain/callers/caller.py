"""A caller: a place that holds an original's trigger URL or id."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Why a person has to change a caller that builds the URL: `Caller.manual`.
FILLED_IN = "It fills in the signature, or all of the query, itself: change what it takes it from."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One place where trigger URLs or flow ids stand."""

    #: Which file of `shared/callers/` knows this place: `flow`, `app_setting`, …
    kind: str
    #: Finds the place again; only its kind reads it.
    address: str
    #: For people: what and where, without any secret.
    label: str
    #: What is written as a whole: two jobs must not write one resource at once.
    resource: str
    #: Environment the place lies in; None: outside Power Platform.
    environment_id: str | None = None
    #: Dataverse id where the place is a flow.
    workflow_id: str | None = None
    #: 32-hex ids of the trigger URLs that stand there.
    trigger_url_ids: frozenset[str] = frozenset()
    #: Those of them whose URL there lies on a host that flows have left (`is_retired`).
    retired_url_ids: frozenset[str] = frozenset()
    #: Lower-case Dataverse ids of the child flows that it runs.
    child_flow_ids: frozenset[str] = frozenset()
    #: Why the place cannot be written by the app; empty: it can.
    manual: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerContent:
    """What stands at a place now. `text` may hold signatures: never log or store it."""

    text: str
    #: Changes with every write; empty where the platform offers none.
    etag: str = ""
    #: A digest of every value that a write replaces with this one, by address; None: none, or an
    #: ETag of the platform refuses who has read older ones.
    around: Mapping[str, str] | None = None
    #: The owner's id in Dataverse, where the value is the definition of a flow.
    owner_id: str = ""
    #: For whom such a definition is saved; None: as the app.
    on_behalf_of: str | None = None

    def __repr__(self) -> str:
        """Leave the text out: it may hold a secret."""
        return f"CallerValue(<{len(self.text)} characters>)"


def flow_caller(environment_id: str, workflow_id: str, name: str) -> Caller:
    """Return the caller that a cloud flow is: its whole definition is one value."""
    return Caller(
        kind="flow",
        address=f"{environment_id}/{workflow_id}",
        label=f"flow {name}",
        resource=f"flow/{environment_id}/{workflow_id}",
        environment_id=environment_id,
        workflow_id=workflow_id,
    )
