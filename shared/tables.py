"""Define every table: its items, their keys and the searchable columns."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
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
from shared.domain.check_position import CheckPosition
from shared.domain.circuit_breaker import CircuitBreaker
from shared.domain.environment import EnvironmentSettings
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
from shared.domain.policy_link_record import PolicyLinkRecord
from shared.domain.service_account import ServiceAccountRecord
from shared.domain.shape_demand import ShapeDemand
from shared.domain.shared_snapshot import SharedSnapshot
from shared.domain.solution_setting import SolutionSettingChange
from shared.domain.timer_run import TimerRun
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.job_index import index_environment_jobs, index_flow_jobs
from shared.ports import Scalar, Store
from shared.rows import Table, format_sortable_time

_NEWER = "Deploy the version of the app that wrote it, or a newer one. If no version did, "
#: Fix for an unreadable row with data that exists nowhere else.
_CORRECT = (
    f"{_NEWER}correct the named field in the columns data0 and following; do not delete the row."
)
#: Fix for an unreadable row that the app can do without.
_REBUILT = "No action required: the app deletes the row and writes it again when needed."
#: Fixes by table, for rows that need no correction.
_REMEDIES: Mapping[str, str] = {
    "caller_searches": _REBUILT,
    "completed_caller_searches": _REBUILT,
    "known_urls": _REBUILT,
    "alerts": _REBUILT,
    "wake_ups": _REBUILT,
    "circuit_breakers": _REBUILT,
    "notification_deliveries": _REBUILT,
    "service_accounts": _REBUILT,
    "shape_demands": _REBUILT,
    "shared_snapshots": _REBUILT,
    "resource_answers": _REBUILT,
    "expected_caller_updates": _REBUILT,
    "timer_runs": _REBUILT,
    "check_positions": _REBUILT,
    "job_index": "Nothing has to be done: the app reads every job of its environment instead, and "
    "the next daily check writes the row again.",
    "kill_switch": (
        "Until then the app writes nothing. Turn the kill switch on or off to write the row again."
    ),
    "caller_index": (
        f"{_NEWER}delete the row, then start an assessment: its search writes it again."
    ),
    "declared_callers": "Declare the caller again: this replaces the row.",
    "failed_run_reports": _REBUILT,
    "link_keys": "Delete the row: links that were sent are then no longer valid.",
    "environment_settings": (
        f"{_NEWER}delete the row, then set the environment again: its mode is assess."
    ),
    "policy_links": f"{_NEWER}delete the row: the environment then counts as newly linked.",
    "resource_leases": f"{_NEWER}wait for five minutes, then delete the row.",
    "pending_caller_writes": (
        f"{_NEWER}delete the row: its job then writes its callers without waiting for others."
    ),
    "discovery_pages": f"{_NEWER}delete the row: its discovery restarts.",
    "service_tag_list_versions": (
        f"{_NEWER}delete the row: the history of address ranges then lacks one entry."
    ),
    "key_alerts": f"{_NEWER}delete the row: the next check of the keys reports it again.",
    "observed_callers": (
        f"{_NEWER}delete the row: the next daily check reads the calls that the platform still has."
    ),
    "blocked_calls": f"{_NEWER}delete the row: the next check of the copy's runs writes it again.",
}


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table of the app."""

    store: Store
    job_index: Table[IndexRow] = field(init=False)
    flow_jobs: Table[FlowJob] = field(init=False)
    environment_jobs: Table[EnvironmentJob] = field(init=False)
    remediations: Table[Remediation] = field(init=False)
    plan_items: Table[PlanItem] = field(init=False)
    callers: Table[CallerRecord] = field(init=False)
    caller_edit_intents: Table[CallerEditIntent] = field(init=False)
    caller_index: Table[CallerIndexEntry] = field(init=False)
    known_urls: Table[KnownUrl] = field(init=False)
    observed_callers: Table[ObservedCallers] = field(init=False)
    caller_searches: Table[CallerSearchProgress] = field(init=False)
    completed_caller_searches: Table[CompletedCallerSearch] = field(init=False)
    environment_settings: Table[EnvironmentSettings] = field(init=False)
    policy_links: Table[PolicyLinkRecord] = field(init=False)
    resource_leases: Table[ResourceLease] = field(init=False)
    pending_caller_writes: Table[PendingCallerWrite] = field(init=False)
    expected_caller_updates: Table[ExpectedCallerUpdate] = field(init=False)
    declared_callers: Table[DeclaredCaller] = field(init=False)
    link_keys: Table[LinkKey] = field(init=False)
    kill_switch: Table[KillSwitch] = field(init=False)
    audit_log: Table[AuditEntry] = field(init=False)
    audit_seals: Table[AuditSeal] = field(init=False)
    run_archives: Table[RunArchive] = field(init=False)
    deletions: Table[Deletion] = field(init=False)
    discovery_pages: Table[DiscoveryPage] = field(init=False)
    alerts: Table[Alert] = field(init=False)
    wake_ups: Table[WakeUp] = field(init=False)
    circuit_breakers: Table[CircuitBreaker] = field(init=False)
    service_tag_list_versions: Table[ServiceTagListVersion] = field(init=False)
    shared_snapshots: Table[SharedSnapshot] = field(init=False)
    resource_answers: Table[ResourceAnswer] = field(init=False)
    service_accounts: Table[ServiceAccountRecord] = field(init=False)
    shape_demands: Table[ShapeDemand] = field(init=False)
    timer_runs: Table[TimerRun] = field(init=False)
    check_positions: Table[CheckPosition] = field(init=False)
    key_alerts: Table[KeyAlert] = field(init=False)
    notification_deliveries: Table[NotificationDelivery] = field(init=False)
    blocked_calls: Table[BlockedCall] = field(init=False)
    firewall_fixes: Table[FirewallFixRecord] = field(init=False)
    solution_setting_changes: Table[SolutionSettingChange] = field(init=False)
    support_requests: Table[SupportRequest] = field(init=False)
    failed_run_reports: Table[FailedRunReport] = field(init=False)

    def __iter__(self) -> Iterator[Table[Any]]:
        """Yield every table."""
        return (getattr(self, one.name) for one in fields(self) if not one.init)

    def __post_init__(self) -> None:
        """Open the tables."""

        def add_table[T](
            name: str,
            kind: type[T],
            address: Callable[[T], tuple[str, str]],
            columns: Callable[[T], dict[str, Scalar]] = lambda _: {},
            **options: Callable[[Sequence[tuple[T | None, T]]], Awaitable[None]],
        ) -> None:
            remedy = _REMEDIES.get(name, _CORRECT)
            opened = Table(
                self.store,
                name.replace("_", ""),  # Table storage allows only letters and digits
                kind,
                address=address,
                columns=columns,
                remedy=remedy,
                is_rebuilt=remedy == _REBUILT,
                **options,
            )
            object.__setattr__(self, name, opened)

        add_table(
            "job_index",
            IndexRow,
            lambda row: (row.environment_id, row.key),
            lambda row: {"kind": row.kind, "needs_person": "yes" if row.needs_person else ""},
        )
        add_table(
            "flow_jobs",
            FlowJob,
            lambda job: (job.environment_id, job.id),
            lambda job: {
                "state": job.state,
                "next_check_at": format_sortable_time(job.next_check_at),
                "reason_code": job.reason_code,
                "environment_job_id": job.environment_job_id,
                "remediation_id": job.remediation_id,
                "original_id": job.original_id,
                "copy_id": job.copy_id,
                "original_url_id": job.original_url_id,
                "has_foreign_parents": "yes"
                if any("/" in parent for parent in job.parents)
                else "",
            },
            indexed=partial(index_flow_jobs, self.job_index),
        )
        add_table(
            "environment_jobs",
            EnvironmentJob,
            lambda job: (job.remediation_id, job.id),
            lambda job: {
                "state": job.state,
                "next_check_at": format_sortable_time(job.next_check_at),
                "reason_code": job.reason_code,
                "environment_id": job.environment_id,
            },
            indexed=partial(index_environment_jobs, self.job_index),
        )
        add_table(
            "remediations",
            Remediation,
            lambda item: ("remediation", item.id),
            lambda item: {"created_at": format_sortable_time(item.created_at)},
        )
        add_table(
            "plan_items",
            PlanItem,
            lambda item: (item.environment_job_id, item.workflow_id),
            lambda item: {"action": item.action},
        )
        add_table("declared_callers", DeclaredCaller, lambda item: (DECLARED_CALLER, item.id))
        add_table("link_keys", LinkKey, lambda item: ("link_key", item.name))
        add_table("callers", CallerRecord, lambda item: (item.job_id, item.id))
        add_table("caller_edit_intents", CallerEditIntent, lambda item: (item.job_id, item.key))
        add_table("caller_index", CallerIndexEntry, lambda item: (item.held_id, item.id))
        add_table("known_urls", KnownUrl, lambda item: (item.environment_id, item.workflow_id))
        add_table(
            "observed_callers", ObservedCallers, lambda item: (item.environment_id, item.job_id)
        )
        add_table(
            "caller_searches",
            CallerSearchProgress,
            lambda item: (item.environment_job_id, item.kind),
            lambda item: {"updated_at": format_sortable_time(item.updated_at)},
        )
        add_table(
            "completed_caller_searches", CompletedCallerSearch, lambda item: ("search", item.kind)
        )
        add_table(
            "environment_settings",
            EnvironmentSettings,
            lambda item: ("environment", item.environment_id),
        )
        add_table("policy_links", PolicyLinkRecord, lambda item: ("link", item.environment_id))
        add_table("resource_leases", ResourceLease, lambda item: ("lease", item.id))
        add_table(
            "pending_caller_writes",
            PendingCallerWrite,
            lambda item: (item.resource_id, item.job_id),
        )
        add_table(
            "expected_caller_updates",
            ExpectedCallerUpdate,
            lambda item: (
                ("url", item.url_id)
                if item.url_id
                else ("unknown", f"{item.environment_id}~{item.job_id}")
            ),
        )
        add_table(
            "audit_log",
            AuditEntry,
            lambda item: ("audit", item.sort_key),
            lambda item: {"sort_key": item.sort_key},
        )
        add_table("audit_seals", AuditSeal, lambda item: ("seal", item.sort_key))
        add_table("kill_switch", KillSwitch, lambda item: ("kill_switch", item.name))
        add_table(
            "discovery_pages",
            DiscoveryPage,
            lambda part: (part.environment_job_id, f"{part.source}-{part.sequence:06}"),
            lambda part: {"source": part.source, "read_at": format_sortable_time(part.read_at)},
        )
        add_table("run_archives", RunArchive, lambda item: (item.environment_id, item.job_id))
        add_table(
            "deletions",
            Deletion,
            lambda item: (item.environment_id, item.job_id),
            lambda item: {
                "state": item.state,
                "next_check_at": format_sortable_time(item.next_check_at),
                "reason_code": item.reason_code,
            },
        )
        add_table("alerts", Alert, lambda item: ("alert", hash_key(item.reason_code, *item.row)))
        add_table(
            "wake_ups",
            WakeUp,
            lambda item: ("wake_up", "~".join((format_sortable_time(item.wake_at), *item.row))),
        )
        add_table(
            "circuit_breakers",
            CircuitBreaker,
            lambda item: ("circuit_breaker", hash_key(item.service, item.endpoint)),
        )
        add_table(
            "service_tag_list_versions",
            ServiceTagListVersion,
            lambda item: ("service_tag_list_version", format_sortable_time(item.first_seen_at)),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table(
            "notification_deliveries",
            NotificationDelivery,
            lambda item: ("notification_delivery", f"{item.pending_action_id}-{item.channel}"),
        )
        add_table(
            "resource_answers",
            ResourceAnswer,
            lambda row: (row.reading_id, f"{hash_key(row.request)}-{row.piece:04}"),
            lambda row: {"read_at": format_sortable_time(row.read_at)},
        )
        add_table(
            "service_accounts",
            ServiceAccountRecord,
            lambda item: ("service_account", item.environment_id),
        )
        add_table("shape_demands", ShapeDemand, lambda item: ("shape", item.environment_id))
        add_table("shared_snapshots", SharedSnapshot, lambda item: (item.topic, item.id))
        add_table("timer_runs", TimerRun, lambda item: ("timer", item.timer))
        add_table(
            "check_positions",
            CheckPosition,
            lambda item: (item.environment_id, item.check),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table(
            "blocked_calls",
            BlockedCall,
            lambda item: (item.environment_id, hash_key(item.host)),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table(
            "key_alerts",
            KeyAlert,
            lambda item: (
                hash_key(item.policy_id),
                hash_key(item.finding.code, item.finding.subject, item.finding.level),
            ),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table(
            "firewall_fixes",
            FirewallFixRecord,
            lambda item: ("firewall_fix", item.id),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table(
            "solution_setting_changes",
            SolutionSettingChange,
            lambda item: ("environment", item.environment_id),
            lambda item: {"reason_code": item.reason_code},
        )
        add_table("support_requests", SupportRequest, lambda item: ("support_request", item.id))
        add_table(
            "failed_run_reports",
            FailedRunReport,
            lambda item: ("failed_runs", item.environment_id),
        )
