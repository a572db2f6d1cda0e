"""Define every table: the type of its items, their keys and the searchable columns."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from shared.domain.alert import Alert
from shared.domain.audit import AuditEntry
from shared.domain.audit_seal import AuditSeal
from shared.domain.callers.caller_records import (
    CallerEditIntent,
    CallerIndexEntry,
    CallerRecord,
    CallerSearchProgress,
    CompletedCallerSearch,
    ExpectedCallerUpdate,
    PendingCallerWrite,
)
from shared.domain.callers.confirmation_link import LinkKey
from shared.domain.callers.declared_caller import DECLARED_CALLER, DeclaredCaller
from shared.domain.callers.observed_caller import ObservedCallers
from shared.domain.circuit_breaker import CircuitBreaker
from shared.domain.environment import EnvironmentSettings
from shared.domain.environment_records import PolicyLinkRecord, ServiceAccountRecord, ShapeDemand
from shared.domain.failed_runs import FailedRunReport
from shared.domain.ids import hash_key
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import RunArchive
from shared.domain.jobs.wake_up import WakeUp
from shared.domain.keys.key_alert import KeyAlert
from shared.domain.kill_switch import KillSwitch
from shared.domain.leases import ResourceLease
from shared.domain.network.blocked_call import BlockedCall
from shared.domain.network.firewall_fix_record import FirewallFixRecord
from shared.domain.network.resource_answer import ResourceAnswer
from shared.domain.network.service_tag_list_version import ServiceTagListVersion
from shared.domain.plans.discovery import DiscoveryPage
from shared.domain.plans.job_index import IndexRow
from shared.domain.plans.notification import NotificationDelivery
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, Remediation
from shared.domain.plans.support_request import SupportRequest
from shared.domain.shared_snapshot import SharedSnapshot
from shared.domain.solution_setting import SolutionSettingChange
from shared.domain.timer_run import CheckPosition, TimerRun
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.ports import Scalar, Store
from shared.state.job_index import index_environment_jobs, index_flow_jobs
from shared.state.rows import Table, format_sortable_time

_NEWER = "Deploy the version of the app that wrote it, or a newer one. If no version did, "
#: Fix for an unreadable row with data that exists nowhere else.
_CORRECT = (
    f"{_NEWER}correct the named field in the columns data0 and following; do not delete the row."
)
#: Fix for an unreadable row that the app can do without.
_REBUILT = "No action required: the app deletes the row and writes it again when needed."


@dataclass(slots=True)
class _Declared[T]:
    """The declaration of a table as an attribute of `Tables`.

    The table is opened at its first use.
    """

    kind: type[T]
    address: Callable[[T], tuple[str, str]]
    columns: Callable[[T], dict[str, Scalar]] = lambda _: {}
    remedy: str = _CORRECT
    #: As `indexed` of `Table`; its first argument is the index of jobs.
    indexed: Callable[[Table[IndexRow], Any], Awaitable[None]] | None = None
    name: str = field(init=False)

    def __set_name__(self, _: type, name: str) -> None:
        self.name = name

    def __get__(self, tables: "Tables", _: type) -> Table[T]:
        vars(tables)[self.name] = opened = Table(
            tables.store,
            self.name.replace("_", ""),  # Table storage allows only letters and digits
            self.kind,
            address=self.address,
            columns=self.columns,
            remedy=self.remedy,
            is_rebuilt=self.remedy == _REBUILT,
            **({"indexed": partial(self.indexed, tables.job_index)} if self.indexed else {}),
        )
        return opened


class Tables:
    """Every table of the app."""

    job_index = _Declared(
        IndexRow,
        lambda row: (row.environment_id, row.key),
        lambda row: {"kind": row.kind, "needs_person": "yes" if row.needs_person else ""},
        remedy="Nothing has to be done: the app reads every job of its environment instead, and "
        "the next daily check writes the row again.",
    )
    flow_jobs = _Declared(
        FlowJob,
        lambda job: (job.environment_id, job.id),
        lambda job: {
            "state": job.state,
            "next_check_at": format_sortable_time(job.next_check_at),
            "reason_code": job.reason_code,
            "environment_job_id": job.environment_job_id,
            "remediation_id": job.remediation_id,
            "original_id": job.original.id,
            "copy_id": job.copy.id,
            "original_url_id": job.original.url_id,
            "has_foreign_parents": "yes" if any("/" in parent for parent in job.parents) else "",
        },
        indexed=index_flow_jobs,
    )
    environment_jobs = _Declared(
        EnvironmentJob,
        lambda job: (job.remediation_id, job.id),
        lambda job: {
            "state": job.state,
            "next_check_at": format_sortable_time(job.next_check_at),
            "reason_code": job.reason_code,
            "environment_id": job.environment_id,
        },
        indexed=index_environment_jobs,
    )
    remediations = _Declared(
        Remediation,
        lambda item: ("remediation", item.id),
        lambda item: {"created_at": format_sortable_time(item.created_at)},
    )
    plan_items = _Declared(
        PlanItem,
        lambda item: (item.environment_job_id, item.workflow_id),
        lambda item: {"action": item.action},
    )
    callers = _Declared(CallerRecord, lambda item: (item.job_id, item.id))
    caller_edit_intents = _Declared(CallerEditIntent, lambda item: (item.job_id, item.key))
    caller_index = _Declared(
        CallerIndexEntry,
        lambda item: (item.held_id, item.id),
        remedy=f"{_NEWER}delete the row, then start an assessment: its search writes it again.",
    )
    known_urls = _Declared(
        KnownUrl, lambda item: (item.environment_id, item.workflow_id), remedy=_REBUILT
    )
    observed_callers = _Declared(
        ObservedCallers,
        lambda item: (item.environment_id, item.job_id),
        remedy=f"{_NEWER}delete the row: the next daily check reads the calls that the "
        "platform still has.",
    )
    caller_searches = _Declared(
        CallerSearchProgress,
        lambda item: (item.environment_job_id, item.kind),
        lambda item: {"updated_at": format_sortable_time(item.updated_at)},
        remedy=_REBUILT,
    )
    completed_caller_searches = _Declared(
        CompletedCallerSearch, lambda item: ("search", item.kind), remedy=_REBUILT
    )
    environment_settings = _Declared(
        EnvironmentSettings,
        lambda item: ("environment", item.environment_id),
        remedy=f"{_NEWER}delete the row, then set the approval policy again. Until then it is "
        "read_only.",
    )
    policy_links = _Declared(
        PolicyLinkRecord,
        lambda item: ("link", item.environment_id),
        remedy=f"{_NEWER}delete the row: the environment then counts as newly linked.",
    )
    resource_leases = _Declared(
        ResourceLease,
        lambda item: ("lease", item.id),
        remedy=f"{_NEWER}wait for five minutes, then delete the row.",
    )
    pending_caller_writes = _Declared(
        PendingCallerWrite,
        lambda item: (item.resource_id, item.job_id),
        remedy=f"{_NEWER}delete the row: its job then writes its callers without waiting "
        "for other jobs.",
    )
    expected_caller_updates = _Declared(
        ExpectedCallerUpdate,
        lambda item: (
            ("url", item.url_id)
            if item.url_id
            else ("unknown", f"{item.environment_id}~{item.job_id}")
        ),
        remedy=_REBUILT,
    )
    declared_callers = _Declared(
        DeclaredCaller,
        lambda item: (DECLARED_CALLER, item.id),
        remedy="Declare the caller again: this replaces the row.",
    )
    link_keys = _Declared(
        LinkKey,
        lambda item: ("link_key", item.name),
        remedy="Delete the row: links that were sent are then no longer valid.",
    )
    kill_switch = _Declared(
        KillSwitch,
        lambda item: ("kill_switch", item.name),
        remedy="Turn the kill switch on or off, which writes the row again. Until then the app "
        "writes nothing.",
    )
    audit_log = _Declared(
        AuditEntry, lambda item: ("audit", item.sort_key), lambda item: {"sort_key": item.sort_key}
    )
    audit_seals = _Declared(AuditSeal, lambda item: ("seal", item.sort_key))
    run_archives = _Declared(RunArchive, lambda item: (item.environment_id, item.job_id))
    deletions = _Declared(
        Deletion,
        lambda item: (item.environment_id, item.job_id),
        lambda item: {
            "state": item.state,
            "next_check_at": format_sortable_time(item.next_check_at),
            "reason_code": item.reason_code,
        },
    )
    discovery_pages = _Declared(
        DiscoveryPage,
        lambda part: (part.environment_job_id, f"{part.source}-{part.sequence:06}"),
        lambda part: {"source": part.source, "read_at": format_sortable_time(part.read_at)},
        remedy=f"{_NEWER}delete the row: its discovery restarts.",
    )
    alerts = _Declared(
        Alert, lambda item: ("alert", hash_key(item.reason_code, *item.row)), remedy=_REBUILT
    )
    wake_ups = _Declared(
        WakeUp,
        lambda item: ("wake_up", "~".join((format_sortable_time(item.wake_at), *item.row))),
        remedy=_REBUILT,
    )
    circuit_breakers = _Declared(
        CircuitBreaker,
        lambda item: ("circuit_breaker", hash_key(item.service, item.endpoint)),
        remedy=_REBUILT,
    )
    service_tag_list_versions = _Declared(
        ServiceTagListVersion,
        lambda item: ("service_tag_list_version", format_sortable_time(item.first_seen_at)),
        lambda item: {"reason_code": item.reason_code},
        remedy=f"{_NEWER}delete the row: the history of address ranges then lacks one entry.",
    )
    shared_snapshots = _Declared(
        SharedSnapshot, lambda item: (item.topic, item.id), remedy=_REBUILT
    )
    resource_answers = _Declared(
        ResourceAnswer,
        lambda row: (row.reading_id, f"{hash_key(row.request)}-{row.piece:04}"),
        lambda row: {"read_at": format_sortable_time(row.read_at)},
        remedy=_REBUILT,
    )
    service_accounts = _Declared(
        ServiceAccountRecord, lambda item: ("service_account", item.environment_id), remedy=_REBUILT
    )
    shape_demands = _Declared(
        ShapeDemand, lambda item: ("shape", item.environment_id), remedy=_REBUILT
    )
    timer_runs = _Declared(TimerRun, lambda item: ("timer", item.timer), remedy=_REBUILT)
    check_positions = _Declared(
        CheckPosition,
        lambda item: (item.environment_id, item.check),
        lambda item: {"reason_code": item.reason_code},
        remedy=_REBUILT,
    )
    key_alerts = _Declared(
        KeyAlert,
        lambda item: (
            hash_key(item.policy_id),
            hash_key(item.finding.code, item.finding.subject, item.finding.level),
        ),
        lambda item: {"reason_code": item.reason_code},
        remedy=f"{_NEWER}delete the row: the next check of the keys reports it again.",
    )
    notification_deliveries = _Declared(
        NotificationDelivery,
        lambda item: ("notification_delivery", f"{item.pending_action_id}-{item.channel}"),
        remedy=_REBUILT,
    )
    blocked_calls = _Declared(
        BlockedCall,
        lambda item: (item.environment_id, hash_key(item.host)),
        lambda item: {"reason_code": item.reason_code},
        remedy=f"{_NEWER}delete the row: the next check of the copy's runs writes it again.",
    )
    firewall_fixes = _Declared(
        FirewallFixRecord,
        lambda item: ("firewall_fix", item.id),
        lambda item: {"reason_code": item.reason_code},
    )
    solution_setting_changes = _Declared(
        SolutionSettingChange,
        lambda item: ("environment", item.environment_id),
        lambda item: {"reason_code": item.reason_code},
    )
    support_requests = _Declared(SupportRequest, lambda item: ("support_request", item.id))
    failed_run_reports = _Declared(
        FailedRunReport, lambda item: ("failed_runs", item.environment_id), remedy=_REBUILT
    )

    def __init__(self, store: Store) -> None:
        self.store = store

    def __iter__(self) -> Iterator[Table[Any]]:
        return (getattr(self, name) for name in self.list_item_types())

    @classmethod
    def list_item_types(cls) -> dict[str, type[Any]]:
        """Return the type of the items of each table, by the name of its attribute."""
        return {name: one.kind for name, one in vars(cls).items() if isinstance(one, _Declared)}
