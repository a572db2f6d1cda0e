from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.network.firewall_fix import AddedEntries
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.service_tag_list_version import (
    AffectedFirewall,
    AffectedRemediation,
    ServiceTagListVersion,
)
from shared.domain.plans.incomplete_firewalls import (
    FirewallFacts,
    FirewallStatus,
    IncompleteFirewall,
    count_flows_blocked_by,
    find_blocking_firewalls,
    find_incomplete_firewalls,
    select_firewalls,
)
from shared.domain.plans.remediation import (
    MOST_PREFIXES_OF_ISSUE,
    EnvironmentJob,
    FirewallIssueSummary,
    RemediationMode,
)
from shared.reason import Reason
from tests.unit.flow_rows import FLOW_JOB
from tests.unit.remediation_rows import NOW, build_environment_job

ERP = "network_security_group:/subscriptions/1/nsg-erp"


def build_issue(name: str = ERP, *prefixes: str, **more: Any) -> FirewallIssueSummary:
    facts: dict[str, Any] = {
        "name": name,
        "kind": name.partition(":")[0],
        "firewall_name": name.rpartition("/")[2],
        "missing_prefixes": prefixes or ("20.1.0.0/24",),
        "fix": "Allow it.",
        "workflow_ids": ("a",),
        "flow_count": 7,
    }
    return FirewallIssueSummary(**{**facts, **more})


def build_planned_job(identity: str, *issues: FirewallIssueSummary, **more: Any) -> EnvironmentJob:
    facts: dict[str, Any] = {
        "state": EnvironmentJobState.RUNNING_FLOW_JOBS,
        "has_started_flow_jobs": False,
        "not_migrated": {},
        "firewall_issues": issues,
    }
    return build_environment_job(identity, **{**facts, **more})


def build_blocked_flow(job: EnvironmentJob, *names: str) -> Any:
    return replace(
        FLOW_JOB,
        environment_id=job.environment_id,
        environment_job_id=job.id,
        state=FlowJobState.BLOCKED,
        reason_code=Reason.FIREWALL_DENIES,
        message=f"These firewalls deny the copy of Orders: {', '.join(names)}.",
    )


def build_list_version(
    *affected: str, number: int = 2, reason_code: str = "changed"
) -> ServiceTagListVersion:
    return ServiceTagListVersion(
        change_number=number,
        first_seen_at=NOW,
        last_checked_at=NOW + timedelta(days=number),
        prefixes={},
        affected_firewalls=tuple(
            AffectedFirewall(issue=one, name="nsg", missing_prefixes=("20.9.0.0/24",))
            for one in affected
        ),
        affected_remediations=(AffectedRemediation(remediation_id="rem", flow_count=3),),
        reason_code=reason_code,
    )


def find_firewalls(*jobs: EnvironmentJob, **more: Any) -> list[IncompleteFirewall]:
    return find_incomplete_firewalls(
        FirewallFacts(environment_jobs=jobs, **{"flow_jobs": (), **more})
    )


def test_firewall_of_two_environments_is_listed_once() -> None:
    first = build_planned_job("env-1", build_issue(ERP, "20.1.0.0/24", "20.2.0.0/24"))
    second = build_planned_job("env-2", build_issue(ERP, "20.2.0.0/24", "20.3.0.0/24"))
    flows = [
        build_blocked_flow(first, "nsg-erp"),
        build_blocked_flow(first, "nsg-erp"),
        build_blocked_flow(second, "nsg-erp"),
    ]

    [one] = find_firewalls(first, second, flow_jobs=flows)

    assert one.status is FirewallStatus.BLOCKING
    assert set(one.missing_prefixes) == {"20.1.0.0/24", "20.2.0.0/24", "20.3.0.0/24"}
    assert one.blocked_count == 3
    places = {each.environment_id: each for each in one.environments}
    assert {name: each.blocked_count for name, each in places.items()} == {"env-1": 2, "env-2": 1}
    assert {each.flow_count for each in places.values()} == {7}


@pytest.mark.parametrize("state", EnvironmentJobState)
def test_flow_that_an_earlier_plan_started_is_blocked_by_the_firewall_of_the_newest_plan(
    state: EnvironmentJobState,
) -> None:
    earlier = build_planned_job("env-1", build_issue(ERP))
    newest = replace(earlier, id="second", remediation_id="second", state=state, planned_at=NOW)

    [one] = find_firewalls(newest, earlier, flow_jobs=[build_blocked_flow(earlier, "nsg-erp")])

    assert (one.issue, one.status, one.blocked_count) == (ERP, FirewallStatus.BLOCKING, 1)
    assert len(one.environments) == 1


def test_flow_behind_two_firewalls_is_counted_once_in_the_total() -> None:
    job = build_planned_job("env-1", build_issue(ERP), build_issue("app_service:/sites/shop"))
    flows = [build_blocked_flow(job, "nsg-erp", "shop"), build_blocked_flow(job, "shop")]
    facts = FirewallFacts(environment_jobs=[job], flow_jobs=flows)

    blocking = find_blocking_firewalls(facts)

    assert [(one.name, one.blocked_count) for one in blocking] == [("shop", 2), ("nsg-erp", 1)]
    assert count_flows_blocked_by(blocking, flows) == 2


def test_firewall_of_a_blocked_flow_is_listed_without_an_issue() -> None:
    """A plan stores a limited number of firewalls, so a blocked flow may name another one."""
    job = build_planned_job("env-1")

    [one] = find_firewalls(job, flow_jobs=[build_blocked_flow(job, "nsg-other")])

    assert (one.name, one.issue, one.blocked_count) == ("nsg-other", "", 1)
    assert one.status is FirewallStatus.BLOCKING


@pytest.mark.parametrize(
    ("state", "is_listed"),
    [
        (FlowJobState.COPYING, True),
        (FlowJobState.COPIED, True),
        (FlowJobState.VERIFIED, False),
        (FlowJobState.RETIRED, False),
        (FlowJobState.ROLLING_BACK, False),
        (FlowJobState.CANCELLED, False),
    ],
)
def test_firewalls_of_a_plan_are_listed_until_its_copies_are_verified(
    state: FlowJobState, is_listed: bool
) -> None:
    """A verified copy can reach its hosts, and a flow that is rolled back needs no firewall."""
    job = build_planned_job("e", build_issue(), has_started_flow_jobs=True)
    flow = replace(FLOW_JOB, environment_id="e", environment_job_id=job.id, state=state)

    assert bool(find_firewalls(job, flow_jobs=[flow])) is is_listed


def test_firewalls_of_a_plan_are_listed_before_its_flow_jobs_start() -> None:
    awaiting = build_planned_job("e", build_issue(), state=EnvironmentJobState.AWAITING_APPROVAL)
    dry_run = build_planned_job(
        "e", build_issue(), state=EnvironmentJobState.COMPLETED, mode=RemediationMode.DRY_RUN
    )

    assert find_firewalls(awaiting)
    assert find_firewalls(dry_run)


def test_firewalls_of_a_replaced_plan_are_not_listed() -> None:
    """The later plan has read the firewalls again."""
    old = build_planned_job("e", build_issue(), id="old", planned_at=NOW - timedelta(days=9))
    new = build_planned_job("e", build_issue("app_service:/sites/shop"), id="new")

    assert [one.name for one in find_firewalls(old, new)] == ["shop"]


def test_earlier_plan_counts_only_with_the_firewall_that_blocks_a_flow() -> None:
    """The later plan has read the other firewalls again."""
    issues = (build_issue(), build_issue("app_service:/sites/shop"))
    old = build_planned_job("e", *issues, id="old", planned_at=NOW - timedelta(days=9))
    new = build_planned_job("e", id="new")

    assert [
        one.name for one in find_firewalls(old, new, flow_jobs=[build_blocked_flow(old, "shop")])
    ] == ["shop"]


def test_firewall_that_lacks_ranges_of_a_new_list_version_is_listed() -> None:
    job = build_planned_job("env-1", state=EnvironmentJobState.COMPLETED)

    [one] = find_firewalls(
        job, versions=[build_list_version(ERP), build_list_version(ERP, number=1, reason_code="")]
    )

    assert one.status is FirewallStatus.INCOMPLETE
    assert one.change_numbers == (2,)
    assert one.missing_prefixes == ("20.9.0.0/24",)
    assert one.read_at == NOW + timedelta(days=2)
    assert [(each.remediation_id, each.flow_count) for each in one.environments] == [("rem", 0)]


def test_firewall_is_ignored_if_each_environment_ignores_it() -> None:
    jobs = [build_planned_job("env-1", build_issue()), build_planned_job("env-2", build_issue())]
    one_of_two, both = {"env-1": {ERP: "own proxy"}}, {"env-2": {ERP: "the same"}}

    [partly] = find_firewalls(*jobs, ignored=one_of_two)
    [whole] = find_firewalls(*jobs, ignored=one_of_two | both)
    [again] = find_firewalls(*jobs, ignored=one_of_two | both, versions=[build_list_version(ERP)])

    assert partly.status is FirewallStatus.INCOMPLETE
    assert {each.ignored_because for each in partly.environments} == {"own proxy", ""}
    assert whole.status is FirewallStatus.IGNORED
    assert again.status is FirewallStatus.INCOMPLETE


def test_firewall_with_an_applied_fix_has_status_changed() -> None:
    """The app does not know what the firewall allows until it reads it again."""
    fix = FirewallFixRecord(
        issue=ERP,
        kind="network_security_group",
        firewall="nsg-erp",
        added_entries=AddedEntries(resource_id="/nsg-erp", list_name="rules", entries=("{}",)),
        state=FirewallFixState.APPLIED,
        environment_ids=("env-1",),
        changed_by="ada",
        changed_at=NOW,
    )
    job = build_planned_job("env-1", build_issue())

    [changed] = find_firewalls(job, fixes=[fix])
    [reverted] = find_firewalls(job, fixes=[replace(fix, state=FirewallFixState.REVERTED)])
    [older] = find_firewalls(job, fixes=[replace(fix, changed_at=NOW - timedelta(days=5))])

    assert (changed.status, changed.changed_at) == (FirewallStatus.CHANGED, NOW)
    assert reverted.status is FirewallStatus.INCOMPLETE
    assert older.status is FirewallStatus.INCOMPLETE


def test_more_ranges_may_be_missing_than_a_plan_stores() -> None:
    prefixes = [f"20.1.{number}.0/24" for number in range(MOST_PREFIXES_OF_ISSUE)]

    [cut] = find_firewalls(build_planned_job("e", build_issue(ERP, *prefixes)))
    [whole] = find_firewalls(build_planned_job("e", build_issue(ERP, *prefixes[:-1])))

    assert (cut.has_more_prefixes, whole.has_more_prefixes) == (True, False)


def test_unknown_geography_or_tag_is_not_a_firewall() -> None:
    job = build_planned_job("e", build_issue("geography:atlantis", firewall_name=""), build_issue())

    assert {one.name: one.is_firewall for one in find_firewalls(job)} == {
        "geography:atlantis": False,
        "nsg-erp": True,
    }


def test_most_urgent_firewall_is_first() -> None:
    job = build_planned_job(
        "e", *(build_issue(f"app_service:/{name}") for name in ("a", "b", "c", "d"))
    )
    ignored = {"e": {"app_service:/a": "own proxy"}}
    flows = [
        build_blocked_flow(job, "d"),
        build_blocked_flow(job, "d"),
        build_blocked_flow(job, "c"),
    ]

    assert [one.name for one in find_firewalls(job, flow_jobs=flows, ignored=ignored)] == list(
        "dcba"
    )


@pytest.mark.parametrize(
    ("status", "text", "names"),
    [
        ("", "", {"nsg-erp", "shop"}),
        (FirewallStatus.BLOCKING, "", {"shop"}),
        ("", "ENV-1", {"nsg-erp", "shop"}),
        ("", "network security", {"nsg-erp"}),
        ("", " Shop ", {"shop"}),
        (FirewallStatus.BLOCKING, "erp", set()),
    ],
)
def test_firewalls_are_chosen_by_status_and_text(status: str, text: str, names: set[str]) -> None:
    job = build_planned_job("env-1", build_issue(), build_issue("app_service:/sites/shop"))
    every = find_firewalls(job, flow_jobs=[build_blocked_flow(job, "shop")])

    assert {one.name for one in select_firewalls(every, status, text)} == names
