"""Test that a damaged row is reported and stops only its own flow.

Tables, columns and pages are read from the code, so a new one is tested too.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any, get_type_hints

import pytest

from functions.dashboard.page_layout import read_assets
from functions.endpoints import list_endpoints
from shared.bootstrap import provide
from shared.domain.alert import RowName
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.remediation import RemediationMode
from shared.domain.plans.support_request import (
    SupportRequest,
    SupportRequestKind,
    build_support_request_id,
)
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.errors import JobBlocked, UnreadableRow
from shared.ports import Scalar, StoreRow
from shared.state.rows import FENCE, Table
from shared.state.tables import Tables
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.notify import notify
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.show_status import TenantStatus, show_status
from shared.use_cases.start_assessment import start_assessment
from tests.fakes.tenant import FakeFlow
from tests.functional.app.notified_scenario import RecordingChannel, build_services_with
from tests.functional.app.test_access import HANDLERS
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.example_item import build_example
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

ENDPOINTS = list_endpoints()

#: Where one damaged row stops what is not its own, on purpose.
STOPS_MORE = {
    "kill_switch": "a kill switch that cannot be read counts as on",
    "environment_settings": "nobody knows whether the environment may be written",
}
#: This page answers 403 without a link.
LINK_PAGE = "declared-callers/confirmation"
#: Without readable settings, nobody has asked for this report.
FAILED_RUNS = "environments/{id}/failed-runs"
#: What belongs to one row of these cannot be shown without it: 422 names the row.
ITS_OWN = {
    "remediations",
    "environment_settings",
    "environment_jobs",
    "support_requests",
    "solution_setting_changes",
}


@dataclass(frozen=True, slots=True)
class Damage:
    name: str
    row: RowName
    column: str
    value: Scalar | None

    def apply(self, scenario: Scenario) -> None:
        rows = scenario.fakes.store.rows
        columns = dict(rows[self.row].columns)
        columns.pop(self.column)
        if self.value is not None:
            columns[self.column] = self.value
        rows[self.row] = replace(rows[self.row], columns=columns, etag=f"damaged-{self.name}")


def list_damages(kind: type, row: StoreRow) -> Iterator[Damage]:
    """Yield damages of each column: missing, garbage, and written by a newer version."""
    name = (row.table, row.partition, row.key)
    for column, value in row.columns.items():
        yield Damage("missing", name, column, None)
        yield Damage("garbage", name, column, "{garbage")
        newer: Scalar = 99 if isinstance(value, int) else "levitating"
        if column == "data0" and row.key != FENCE:
            newer = _write_as_newer_version(kind, str(value))
        yield Damage("newer", name, column, newer)


def _write_as_newer_version(kind: type, text: str) -> str:
    """Return the JSON of an item with values or a shape that this version does not know."""
    item, hints = json.loads(text), get_type_hints(kind)
    states = [
        name for name, one in hints.items() if isinstance(one, type) and issubclass(one, Enum)
    ]
    return json.dumps(item | dict.fromkeys(states, "levitating") if states else {"item": item})


async def build_running_scenario() -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
    scenario.driver.use_cases = TRIGGERS
    flows = [scenario.build.add_http_flow(title) for title in ("Orders", "Invoices", "Returns")]
    orders, invoices, _ = flows
    scenario.build.add_app_setting_caller(orders, site="orders-app")
    scenario.build.add_secret_caller(invoices)
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.opt_in(report_failed_runs=True)
    await poll_environments(scenario.services)
    await start_approved_remediation(scenario, invoices)
    await start_approved_remediation(scenario, orders)
    await scenario.run(timedelta(minutes=1))
    environment = scenario.build.environment
    await scenario.services.tables.support_requests.upsert(
        SupportRequest(
            kind=SupportRequestKind.RUN_HISTORY,
            environment_id=environment.id,
            environment_name=environment.display_name,
            opened_at=scenario.services.now,
        )
    )
    return scenario


async def start_approved_remediation(scenario: Scenario, flow: FakeFlow) -> None:
    with suppress(JobBlocked, UnreadableRow):  # the caller looks how far its flow is
        await scenario.order(RemediationMode.APPLY, flow.workflow_id, cause=f"order of {flow.name}")
        await scenario.driver.call(lambda s: approve_shown(s, scenario.remediation.id))


async def find_or_make_flow_rows(
    scenario: Scenario, table: Table[Any], kind: type
) -> list[StoreRow]:
    """Return a row of the table, about the flow `Orders` if possible, and its fence row if found.

    If the table has no row, stores an example.
    """
    job, rows = await scenario.read_job("Orders"), scenario.fakes.store.rows
    own = {job.id, job.original.id, job.environment_job_id, job.remediation_id}
    found = [row for row in rows.values() if row.table == table.name]
    its = [row for row in found if any(one in f"{row.partition} {row.key}" for one in own)]
    items = [row for row in its or found if row.key != FENCE][:1]
    if not items:
        given = {
            "environment_id": job.environment_id,
            "remediation_id": job.remediation_id,
            "environment_job_id": job.environment_job_id,
            "original_id": job.original.id,
            "job_id": job.id,
            "row": scenario.services.tables.flow_jobs.get_row_name(job),
        }
        item: Any = build_example(kind, given)
        await table.upsert(item)
        items = [rows[table.get_row_name(item)]]
    return items + [row for row in its if row.key == FENCE][:1]


async def run_everything(
    scenario: Scenario, table: str, addresses: Mapping[str, str]
) -> set[RowName]:
    """Run the app and read each page. Return the rows that were reported with a fix."""
    channel, reported = RecordingChannel(), set[RowName]()
    orders = scenario.remediation.id
    await start_approved_remediation(
        scenario, next(one for one in scenario.world.list_flows() if one.name == "Returns")
    )
    for is_swept in (False, True):
        if is_swept:
            await run_daily_check(scenario.services, "today")
            with suppress(UnreadableRow):
                await change_remediation.retry(scenario.services, orders)
        await scenario.run(timedelta(minutes=50))
        for timer in (send_due_and_overdue_messages, poll_environments, delete_originals):
            await timer(scenario.services)
        await notify(build_services_with(scenario, channel))
        reported |= read_reported_rows(await show_status(scenario.services))
    await check_every_page(scenario, table, addresses)
    told = {one.row for one in scenario.fakes.notices.told if "/".join(one.row) in one.fix}
    return reported | told


async def check_every_page(scenario: Scenario, table: str, addresses: Mapping[str, str]) -> None:
    provide(scenario.services)
    for path, name in PAGES:
        of = path.partition("/")[0]
        names = re.findall(r"{(\w+)}", path)
        params = {one: addresses[of if one == "id" else one] for one in names}
        reply = await call(HANDLERS[name], params=params)
        is_its_own = table in ITS_OWN and "{id}" in path
        expected = {200, 422} if is_its_own else {403} if path == LINK_PAGE else {200}
        if table == "environment_settings" and path == FAILED_RUNS:
            expected |= {404}
        assert reply.status in expected, (path, reply.text)


def read_reported_rows(attention: TenantStatus) -> set[RowName]:
    return {one.row for one in attention.unreadable_rows if one.name in one.fix}


def is_row_usable(scenario: Scenario, table: Table[Any], name: RowName) -> bool:
    """Return whether a row is deleted, is a fence, or needs no correction."""
    row = scenario.fakes.store.rows.get(name)
    with suppress(UnreadableRow):
        return row is None or row.key == FENCE or table.build_corrected_row(row) is None
    return False


ANNA = Principal(name="anna", roles=frozenset(Role), kind=PrincipalKind.USER)
TABLES = sorted(Tables.list_item_types())
PAGES = sorted((one.path, one.name) for one in ENDPOINTS.values() if one.method == "GET")


@pytest.mark.parametrize("name", TABLES)
async def test_damaged_row_stops_only_its_own_flow_and_is_reported(name: str) -> None:
    begun = await build_running_scenario()
    kind = Tables.list_item_types()[name]
    rows = await find_or_make_flow_rows(begun, getattr(begun.services.tables, name), kind)
    jobs = await begun.read_jobs()
    ordered = await start_assessment(
        begun.services, jobs["Orders"].environment_id, AssessmentRequest(), ANNA
    )
    addresses = {
        "assessments": ordered.id,
        "remediations": jobs["Orders"].remediation_id,
        "dashboard": jobs["Orders"].remediation_id,
        "environments": jobs["Orders"].environment_id,
        "flow": jobs["Orders"].original.id,
        "support-requests": build_support_request_id(
            SupportRequestKind.RUN_HISTORY, jobs["Orders"].environment_id
        ),
        "name": next(iter(read_assets())),
    }
    begun.renew()
    failed = []
    for damage in (one for row in rows for one in list_damages(kind, row)):
        scenario = copy.deepcopy(begun)
        damage.apply(scenario)
        tables = scenario.services.tables
        reported = await run_everything(scenario, name, addresses)
        if damage.row not in reported and not is_row_usable(
            scenario, getattr(tables, name), damage.row
        ):
            failed.append(f"{damage.column} {damage.name}: no message names it")
        quiet = {
            one.item.display_name
            async for one in tables.flow_jobs.scan()
            if not isinstance(one, UnreadableRow)
            and one.item.step is FlowJobState.CHECKING_FOR_CALLS
        }
        if name not in STOPS_MORE and not quiet >= {"Invoices", "Returns"}:
            failed.append(f"{damage.column} {damage.name}: only {quiet} went on")

    assert failed == []
