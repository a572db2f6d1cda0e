from dataclasses import replace

import pytest

from shared.domain.plans.plan_item import PlanItem, PlannedCaller
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.plans.row_limits import (
    MOST_CALLERS,
    MOST_FLOWS_OF_A_GAP,
    MOST_GAPS,
    select_fitting_callers,
    select_fitting_findings,
    with_firewall_issues,
)
from shared.state.tables import Tables
from tests.fakes.memory_store import MemoryStore
from tests.unit.test_plan_approval import JOB, build_item

#: A long name of characters that have two UTF-16 code units each.
LONG = "\N{GRINNING FACE}" * 60


def build_issue(number: int, flows: int) -> FirewallIssueSummary:
    return FirewallIssueSummary(
        name=f"gap {number:04} {'n' * 100}",
        kind="app_service",
        firewall_name="f" * 60,
        missing_prefixes=("203.0.113.128/25",) * 50,
        fix="i" * 300,
        workflow_ids=tuple(f"{flow:08}-0000-4000-8000-000000000001" for flow in range(flows)),
    )


def build_callers(count: int) -> tuple[PlannedCaller, ...]:
    """Return this number of callers with long names."""
    return tuple(
        PlannedCaller(kind="app_setting", label=f"setting {'S' * 80} of the app {number:05}")
        for number in range(count)
    )


async def store_and_read_job(job: EnvironmentJob) -> EnvironmentJob:
    """Return the job as a store with the limits of Table storage returns it."""
    table = Tables(MemoryStore()).environment_jobs
    await table.insert(job)
    (stored,) = await table.read_all()
    return stored


async def store_and_read_items(items: list[PlanItem]) -> list[PlanItem]:
    """Return the items as a store with the limits of Table storage returns them."""
    table = Tables(MemoryStore()).plan_items
    await table.upsert(*items)
    return await table.read_all()


async def test_environment_job_with_many_issues_and_findings_fits_one_row() -> None:
    findings = select_fitting_findings(f"finding {number} {'x' * 200}" for number in range(10_000))
    job = replace(
        with_firewall_issues(
            replace(JOB, findings=findings), [build_issue(n, 1000) for n in range(1000)]
        ),
        flow_ids=tuple(f"{n:08}-0000-4000-8000-000000000001" for n in range(1000)),
        excluded_from_approval=tuple(f"{n:08}-0000-4000-8000-000000000001" for n in range(1000)),
    )

    stored = await store_and_read_job(job)

    assert stored == job
    assert len(stored.firewall_issues) == MOST_GAPS
    assert {(one.flow_count, len(one.workflow_ids)) for one in stored.firewall_issues} == {
        (1000, MOST_FLOWS_OF_A_GAP)
    }
    assert "950 more firewalls" in stored.findings[-1]
    assert "more findings are not shown" in stored.findings[-2]


def test_short_lists_are_not_cut() -> None:
    few = build_callers(3)

    assert select_fitting_findings(["a", "b"]) == ("a", "b")
    assert select_fitting_callers(few) == few
    assert with_firewall_issues(JOB, [build_issue(1, 2)]).firewall_issues == (
        replace(build_issue(1, 2), flow_count=2),
    )
    assert with_firewall_issues(JOB, [build_issue(1, 2)]).findings == ()


def test_issues_with_the_most_flows_are_kept() -> None:
    gaps = [build_issue(number, number % 7) for number in range(MOST_GAPS + 20)]

    shown = with_firewall_issues(JOB, gaps).firewall_issues

    assert shown[0].flow_count == 6
    assert min(one.flow_count for one in shown) >= 1


async def test_500_large_plan_items_are_stored_in_small_requests() -> None:
    """A request to Table storage may have at most 4 MiB."""
    many = select_fitting_callers(build_callers(5000))
    items = [
        build_item(
            f"{number:04}",
            callers=many,
            planned_changes=tuple(f"update {caller.label}" for caller in many),
            conversion_preview="x" * 16_000,
        )
        for number in range(500)
    ]

    stored = await store_and_read_items(items)

    assert stored == items
    assert len(many) == MOST_CALLERS + 1
    assert many[-1].label == "4500 more callers"


@pytest.mark.parametrize("text", [LONG, "\N{GRINNING FACE}" * 16_000])
async def test_characters_of_two_utf16_units_fit(text: str) -> None:
    """Table storage counts UTF-16 code units, of which an emoji has two."""
    one = build_item("a", display_name=text, conversion_preview=text)

    assert await store_and_read_items([one]) == [one]
