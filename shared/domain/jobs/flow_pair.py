"""Define the two flows of a flow job: the original and its copy."""

from dataclasses import dataclass

from shared.domain.flow_owner import FlowOwner
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The original of a flow job, with what the job has read of it."""

    #: Its Dataverse id, and its name in the flow service.
    id: str
    flow_name: str
    #: None: unknown.
    owner: FlowOwner | None = None
    #: A `TriggerCategory`, and the name of the trigger in the definition.
    category: str
    trigger_name: str
    has_trigger_url: bool
    #: False: it is in no solution, so that only the flow service can change it.
    in_solution: bool
    #: Digest of the definition that was planned and, later, copied.
    digest: str
    #: Hosts that its HTTP actions call; `*` for a host that an expression computes.
    http_hosts: tuple[str, ...] = ()
    #: None: not read yet.
    was_on: bool | None = None
    url_id: str = ""
    #: SHA-256 of the signature in its URL, `none` if it has none; empty: not read yet.
    signature_hash: str = ""
    #: The job's last write that turned it on or off; None: the job sent none.
    last_write: FlowStateWrite | None = None

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids by which an administrator may name the original, in lower case."""
        return frozenset({self.id.lower(), self.flow_name.lower()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The copy of a flow job. Before it is created, only its id is known."""

    id: str
    flow_name: str = ""
    digest: str = ""
    #: The rollback has kept it, turned off.
    is_kept_off: bool = False
    #: The owner with whom it was created, by `systemuserid` or Entra id as for the original.
    owner_id: str = ""
    #: Labels of the principals that it was shared with, to detect who was removed from the
    #: original.
    shared_with: tuple[str, ...] = ()
    url_id: str = ""
    #: Host of its trigger URL, which callers have to reach.
    host: str = ""
    #: The job's last write that turned it on or off; None: the job sent none.
    last_write: FlowStateWrite | None = None

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids by which callers may name the copy."""
        return frozenset({self.id, self.flow_name.lower()} - {""})
