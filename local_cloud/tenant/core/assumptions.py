"""Define what the tenant assumes about undocumented behaviour of the platform.

On a real tenant, check this behaviour first. The section `assumptions` of a seed and the control
API (`PUT /assumptions`) change the assumptions of a tenant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Operations that are refused to an application without a user, until somebody proves otherwise
#: (platform.md#app-only-access). Route names of routing.py.
DELEGATED_ONLY = frozenset(
    {
        "flow_service.list_callback_url",
        "flow_service.read_cmk_status",
        "flow_service.create_flow",
        "flow_service.regenerate_access_key",
    }
)


#: Connectors whose connections hold a user name and a password (platform.md#non-oauth-connections
#: tells how to recognise them).
WITHOUT_OAUTH = frozenset({"shared_sql", "shared_sftpwithssh", "shared_ftp"})


@dataclass(slots=True, kw_only=True)
class Assumptions:
    """What a tenant assumes about the platform. Each field is one assumption."""

    #: Operations refused to application tokens (403).
    delegated_only: set[str] = field(default_factory=lambda: set(DELEGATED_ONLY))
    #: Geographies whose environments the flow service's global host refuses, as it cannot derive
    #: their region (platform.md#regional-hosts). A regional host takes its own, and no other.
    global_flow_host_refuses: set[str] = field(default_factory=set)
    #: Code and status of a write that meets a migrating environment; none is published
    #: (platform.md#blocked-writes).
    migration_blocked_code: str = "EnvironmentMigrationInProgress"
    migration_blocked_status: int = 409
    #: Status of requests for an environment that is disabled, as without its key
    #: (platform.md#key-loss).
    disabled_status: int = 403
    #: Seconds between a link's 202 and its start, then its end; the wait that a 202 advises.
    link_start_seconds: float = 0.0
    link_seconds: float = 30.0
    link_retry_after: int = 5
    #: Seconds from `Linked` to the last automatically migrated flow.
    migration_seconds: float = 60.0
    #: Seconds after which a write comes about whose answer was a gateway's 504 (fault `late`),
    #: unless the fault says otherwise.
    late_write_seconds: float = 60.0
    #: Literal of the lifecycle operation's type (platform.md#link-operation).
    link_operation_type: str = "LinkEnterprisePolicy"
    unlink_operation_type: str = "UnlinkEnterprisePolicy"
    #: Most environments of a tenant that may be on a key (platform.md#environment-requirements).
    linked_environments_limit: int = 25
    #: Whether an automatically migrated flow gets another internal workflow id
    #: (platform.md#migrated-ids).
    migration_changes_workflow_id: bool = False
    #: Whether a stopped original is still counted by `nonCmkMigratedFlows`
    #: (platform.md#stopped-originals).
    stopped_flows_stay_listed: bool = True
    #: Items per page of the CMK reports, of the flow lists, of environments and of runs.
    report_page: int = 250
    flow_page: int = 50
    environment_page: int = 100
    run_page: int = 50
    #: Rows per page of Dataverse without `odata.maxpagesize` (documented: 5,000).
    dataverse_page: int = 5000
    #: Whether flows outside a solution have a row in `workflows` too (platform.md#rows-of-flows).
    my_flows_have_rows: bool = True
    #: UTF-16 code units that `workflow.name` takes; the table reference says 100
    #: (platform.md#long-names).
    workflow_name_units: int = 100
    #: Flows that one owner may have outside solutions (platform.md#flows-per-owner).
    flows_per_owner: int = 600
    #: Whether a parent refuses to be turned on while a child is off, or only while one
    #: was never on (platform.md#child-flows-first).
    children_must_be_on: bool = True
    #: Whether an application may turn a flow on as itself (platform.md#application-activators);
    #: else the platform misses the user whose licence it looks up.
    applications_activate: bool = True
    #: Whether the flow service takes who was given rights in Dataverse (platform.md#share-effect)
    #: for a co-owner also where only a co-owner may ask, such as for a trigger URL.
    shares_let_people_ask: bool = True
    #: Whether a flow that a data policy forbids is refused when it is turned on; else the platform
    #: accepts it and suspends it (both were seen: platform.md#suspension-reasons).
    data_policy_refuses_activation: bool = True
    #: Whether `CallerObjectId` reaches the flow service on activation (platform.md#impersonation).
    impersonation_reaches_flow_service: bool = True
    #: Whether the flow's name in the flow service changes when it is first turned on
    #: (platform.md#flow-name-changes).
    activation_changes_flow_name: bool = False
    #: Whether a flow that was never on has a callback URL (platform.md#client-data says it comes
    #: with activation).
    callback_url_before_activation: bool = False
    #: Whether saves refuse the older shapes of connector operations (platform.md#connector-shapes).
    older_host_shapes_refused: bool = False
    #: Whether a save of an existing flow that is refused empties its connection references. The
    #: time of the last change and the row's version stay (platform.md#rejected-saves).
    refused_saves_wipe_references: bool = False
    #: Whether the flow service, where it creates a flow outside solutions, adds the name of a
    #: connection reference that the caller never sent; each later save is refused then
    #: (platform.md#stamped-references).
    creates_stamp_references: bool = False
    #: Whether the flow service shows connector operations in the shape of the runtime, which no
    #: save takes where the older shapes are refused (platform.md#connector-shapes).
    flow_service_shows_runtime_shape: bool = False
    #: Seconds from the first save of a flow that is on for which its saves are refused with
    #: 0x80040203; the same save succeeds afterwards (platform.md#unpublished-rows).
    unpublished_row_seconds: float = 0.0
    #: Whether a saved definition names the connection beside its connection reference
    #: (platform.md#client-data).
    saves_name_connections: bool = False
    #: Answer to a call of a deleted flow: 400 as for a stopped one (platform.md#trigger-answers),
    #: or 404.
    deleted_flow_status: int = 400
    #: Shape of the URL of a flow that the customer's key protects: `environment`, or
    #: `capacity_unit` (with `/cu/NN/` in its path).
    protected_url_form: str = "environment"
    #: Whether a polling trigger that is turned on again replays what it missed
    #: (platform.md#missed-events).
    polling_replays_backlog: bool = True
    #: Whether `subscriptionRequest/name` of a Dataverse trigger, where it is an id, names the one
    #: registration: who comes on last has it, who goes off takes it away.
    subscriptions_have_names: bool = True
    #: How many of the next activations answer 2xx and leave the flow off.
    activations_that_do_not_stick: int = 0
    #: How many of the next changes of an organization answer 2xx and change nothing.
    organization_changes_that_do_not_stick: int = 0
    #: For how many seconds reads still show a flow, or a row of Dataverse, as it was before a
    #: write: the shortest and the longest time. Writes themselves act on what is
    #: (platform.md#reads-lag).
    read_lag_seconds: tuple[float, float] = (0.0, 0.0)
    #: The same of lists, which never show more than reads of one thing.
    list_lag_seconds: tuple[float, float] = (0.0, 0.0)
    #: Seconds after which a workspace of Synapse has saved an item (platform.md#synapse).
    artifact_save_seconds: float = 1.0
    #: Seconds that any call takes, and that a page of a list takes beside it.
    call_seconds: float = 0.0
    list_seconds: float = 0.0
    #: Whether an administrator who is no co-owner gets a flow without its definition
    #: (platform.md#hidden-definitions).
    definitions_hidden_from_administrators: bool = False
    #: Connectors whose connections do not sign in by OAuth.
    connectors_without_oauth: set[str] = field(default_factory=lambda: set(WITHOUT_OAUTH))
    #: Whether an application gets an empty list of connections (platform.md#connection-list).
    connections_hidden_from_applications: bool = False
    #: How many of the next links end as Failed.
    links_that_fail: int = 0
    #: Whether a flow moves to the key by itself once an edit, or a solution, has taken away what
    #: held it back; with it the parents that it alone held back (platform.md#flows-that-stay). If
    #: not, it leaves only the list of flows that cannot migrate.
    edited_flows_migrate: bool = True
    #: Keep every flow on Microsoft's key when a policy is applied.
    hold_all_flows: bool = False

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change assumptions by name. Raises `ValueError` for an unknown name."""
        for name, value in changes.items():
            if name not in Assumptions.__slots__:
                raise ValueError(f"there is no assumption '{name}'")
            kind = type(getattr(self, name))
            setattr(self, name, kind(value) if kind in (set, tuple) else value)
