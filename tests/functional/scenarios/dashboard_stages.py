"""Visit all pages of the dashboard at each stage of a remediation. A new route needs no change of
this module.
"""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cmkflow.assessment_page import build_assessment_page
from functions.forms import FORM
from functions.routes import ROUTES
from local_cloud.demo.call_log import LoggedCall
from local_cloud.demo.flow_results import FlowResult
from local_cloud.demo.report_page import render_report_page
from local_cloud.tenant.core.profiles import Profile
from shared.domain.timer_run import TimerRun
from shared.use_cases.confirm_by_link import create_link_path
from shared.use_cases.declare_callers import list_declared_callers
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.record_address_ranges import record_address_ranges
from shared.use_cases.run_daily_check import SWEEP, run_daily_check
from shared.use_cases.show_remediation import show_plan
from tests.functional.scenarios.operations_tenant import (
    allow_new_ranges,
    build_operations,
    point_apps_at_copies,
)
from tests.functional.scenarios.page_visitor import (
    APPROVER,
    BROWSER,
    NOBODY,
    READER,
    ShownPage,
    Visitor,
)
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.local_cloud.demo.test_demo_cost import build_report

#: The pages that show the kill switch, by the start of their names.
STOPPED = {
    "status": "",
    "environments": "/environments",
    "remediation": "/remediations/{id}",
    "plan": "/remediations/{id}/plan",
    "flow": "/remediations/{id}/flows/{flow}",
    "network": "/network",
}


async def visit_stages(flow_count: int) -> AsyncIterator[Sequence[ShownPage]]:
    scenario = await build_operations(flow_count)
    visitor = Visitor(scenario)
    await visitor.show("status-new", "")
    await visitor.show("environments-new", "/environments", {"all_environments": "true"})
    await visitor.show("remediations-new", "/remediations")
    await visitor.show("forbidden", "", headers=NOBODY)
    yield visitor.take_pages()
    for stage in (
        _await_approval,
        _block_flows,
        _stop_changes,
        _complete_remediation,
        _add_reports,
        _make_read_only,
    ):
        await stage(visitor)
        yield visitor.take_pages()
    yield await _migrate_everything()


async def _await_approval(visitor: Visitor) -> None:
    scenario = visitor.scenario
    await visitor.send_api_request(
        "PUT",
        "environments/{id}",
        {"approval_policy": "required", "max_flows": 10_000},
        headers=APPROVER,
        id=scenario.build.environment.id,
    )
    scenario.build.apply_key()
    await poll_environments(scenario.services)
    await scenario.run(timedelta(minutes=30))
    await run_daily_check(scenario.services, f"{scenario.services.now:%Y-%m-%d}")
    [scenario.remediation] = await scenario.services.tables.remediations.read_all("remediation")
    visitor.flow_id = (await scenario.plan())["Post to ERP"].workflow_id
    await visitor.show_every_route("awaiting")
    await visitor.show("plan-for-reader", "/remediations/{id}/plan", headers=READER)
    await visitor.show("plan-found", "/remediations/{id}/plan", {"search": "read"})
    await visitor.show("plan-exported", "/remediations/{id}/plan", {"export": "true"})
    route = ROUTES["POST", "remediations/{id}/cancel"]
    expired = {**BROWSER, "Content-Type": FORM, "Referer": "https://app.example/api/dashboard"}
    params = {"id": visitor.remediation_id}
    reply = await visitor.send(route, b"accept_replay=true", headers=expired, params=params)
    visitor.record_page("session", f"/api/remediations/{visitor.remediation_id}/cancel", reply)


async def _block_flows(visitor: Visitor) -> None:
    scenario = visitor.scenario
    plans = await show_plan(scenario.services, visitor.remediation_id)
    await visitor.send_api_request(
        "POST",
        "remediations/{id}/approve",
        {"versions": [plan.version for plan in plans]},
        headers=APPROVER,
        id=visitor.remediation_id,
    )
    await scenario.run(timedelta(days=9))
    await _record_daily_check(scenario)
    await visitor.show_every_route("blocked")
    remediation = "/remediations/{id}"
    [issue, *_] = (await scenario.read_environment_job()).firewall_issues
    for name, query in {
        "remediation-cause": {"state": "blocked", "reason_code": "firewall_denies"},
        "remediation-list": {"state": "all"},
        "remediation-history": {"history": "all"},
        "remediation-roll-back": {"undo": "true"},
        "remediation-group": {"group": visitor.flow_id},
        "remediation-fix": {
            "firewall_fix": issue.name,
            "environment": scenario.build.environment.id,
        },
    }.items():
        await visitor.show(name, remediation, query)
    await visitor.show("flow-compared", "/remediations/{id}/flows/{flow}", {"compare": "true"})
    await visitor.show("status-for-reader", "", headers=READER)
    await visitor.show("environments-for-reader", "/environments", headers=READER)
    await visitor.show("remediation-for-reader", remediation, headers=READER)


async def _declare_callers(visitor: Visitor) -> None:
    scenario = visitor.scenario
    jobs = [
        one
        for one in (await scenario.read_jobs()).values()
        if one.is_verified and one.original.has_trigger_url
    ]
    flows = [
        {
            "environment_id": one.environment_id,
            "flow": one.original.id,
            "new_url_secret": f"https://erp.vault.azure.net/secrets/url-{number}",
        }
        for number, one in enumerate(jobs[:2])
    ]
    erp = {"name": "ERP <west>", "owner": "Megan", "contact": "megan@contoso.example"}
    till = {"name": "Till", "owner": "Alex", "contact": "+49 30 1234", "max_url_length": 255}
    known = {"trigger_url_id": "0123456789abcdef" * 2}
    body = {"callers": [{**erp, "flows": flows}, {**till, "flows": [known]}]}
    await visitor.send_api_request("POST", "declared-callers", body)
    confirmed = {"name": erp["name"], "flow": jobs[0].original.id}
    await visitor.send_api_request("POST", "declared-callers/confirm", confirmed)
    [caller, _] = await list_declared_callers(scenario.services)
    path = await create_link_path(scenario.services, caller, visitor.remediation_id)
    route = ROUTES["GET", "declared-callers/confirmation"]
    query = {"token": path.partition("token=")[2]}
    visitor.record_page("confirmation", path, await visitor.send(route, headers={}, query=query))
    visitor.record_page("confirmation-rejected", path, await visitor.send(route, headers=BROWSER))


async def _stop_changes(visitor: Visitor) -> None:
    await visitor.send_api_request(
        "POST", "kill-switch/on", {"justification": "Change freeze, INC-4411"}
    )
    visitor.scenario.world.clock.advance(timedelta(minutes=25))
    for page, route in STOPPED.items():
        await visitor.show(f"{page}-stopped", route)
    await visitor.send_api_request(
        "POST", "kill-switch/off", {"justification": "The freeze is over."}
    )


async def _complete_remediation(visitor: Visitor) -> None:
    scenario = visitor.scenario
    allow_new_ranges(scenario)
    await point_apps_at_copies(scenario)
    await visitor.send_api_request("POST", "remediations/{id}/retry", {}, id=visitor.remediation_id)
    await scenario.run(timedelta(days=40))
    await _record_daily_check(scenario)
    body = {"delete_at": (scenario.services.now + timedelta(days=30)).isoformat()}
    await visitor.send_api_request(
        "POST", "remediations/{id}/deletions", body, headers=APPROVER, id=visitor.remediation_id
    )
    await _declare_callers(visitor)
    await visitor.show_every_route("done")
    await visitor.show("callers-to-confirm", "/callers", {"state": "to_confirm", "search": "ERP"})
    await visitor.show("callers-for-reader", "/callers", headers=READER)
    await visitor.show("flow-done-compared", "/remediations/{id}/flows/{flow}", {"compare": "true"})


async def _record_daily_check(scenario: Scenario) -> None:
    """Check the address ranges, and record that a daily check ran. A real one would start a
    remediation.
    """
    await record_address_ranges(scenario.services, await scenario.services.environments.list())
    run = TimerRun(timer=SWEEP, completed_at=scenario.services.now)
    await scenario.services.tables.timer_runs.upsert(run)


async def _add_reports(visitor: Visitor) -> None:
    assessments: list[Any] = []
    for environment in visitor.scenario.world.environments.values():
        reply = await visitor.send_api_request(
            "GET", "environments/{id}/assessment", id=environment.id
        )
        assessments.append(json.loads(reply.get_body()))
    for assessment in assessments[:2]:
        visitor.record_report(
            f"assessment-{assessment['phase']}", build_assessment_page([assessment])
        )
    visitor.record_report("assessment-all", build_assessment_page(assessments))
    visitor.record_report("demo", await _build_demo_report(visitor.scenario))
    reply = await visitor.send_api_request(
        "GET", "remediations/{id}/evidence", id=visitor.remediation_id
    )
    with zipfile.ZipFile(io.BytesIO(reply.get_body())) as pack:
        [report] = [name for name in pack.namelist() if name.endswith(".html")]
        visitor.record_report("evidence", pack.read(report).decode())


async def _build_demo_report(scenario: Scenario) -> str:
    jobs, flows = await scenario.read_jobs(), list[FlowResult]()
    for title, item in (await scenario.plan()).items():
        job = jobs.get(title)
        flow = FlowResult(
            action=item.action,
            reasons=item.microsoft_key_reasons,
            state=job.state if job else item.action,
            code=job.reason_code if job else "",
            original="off" if job else "on",
            copy="on" if job else "none",
            is_protected=job is not None and job.has_succeeded,
            environment=scenario.build.environment.display_name,
            title=title,
            explanation=job.message if job else item.message,
            fix=job.fix if job else item.fix,
        )
        flows.append(flow)
    made = build_report(Profile.DOCUMENTED, waits=3, documented={})
    for number in range(120):
        call = LoggedCall(tracking_id=f"call-{number}", caller="shop", status=202)
        made.account.calls[call.tracking_id] = call
    made = replace(made, outcome=replace(made.outcome, flows=flows))
    return render_report_page(made.document())


async def _make_read_only(visitor: Visitor) -> None:
    scenario = visitor.scenario
    body = {"approval_policy": "read_only"}
    environment = scenario.build.environment.id
    scenario.build.add_http_flow("Read meters")
    await visitor.start_again()
    await visitor.send_api_request(
        "PUT", "environments/{id}", body, headers=APPROVER, id=environment
    )
    await visitor.show("plan-read-only", "/remediations/{id}/plan")
    await visitor.show("environments-read-only", "/environments")


async def _migrate_everything() -> Sequence[ShownPage]:
    scenario = Scenario()
    scenario.build.environment.display_name = "Operations"
    for title in ("Take bookings", "Book invoice", "Approve travel"):
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=6))
    visitor = Visitor(scenario)
    await visitor.show("status-in-progress", "")
    await scenario.run(timedelta(days=60))
    await _record_daily_check(scenario)
    await visitor.show("status-migrated", "")
    return visitor.take_pages()
