from datetime import timedelta
from typing import Any

import pytest

from functions import remediation_actions_api, remediations_api
from functions.http_headers import IDEMPOTENCY_KEY
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def start_remediation(scenario: Scenario, *, key: str | None = None, **body: Any) -> Reply:
    order = {"mode": "apply", "environment_ids": [scenario.build.environment.id], **body}
    headers = {IDEMPOTENCY_KEY: key} if key is not None else {}
    reply = await call(remediations_api.start_remediation, order, headers=headers)
    await scenario.run(timedelta(minutes=5))
    provide(scenario.services)
    return reply


async def approve_plans(identity: str, **body: Any) -> Reply:
    plans = (await call(remediations_api.show_plan, id=identity)).document["items"]
    order = {"versions": [plan["version"] for plan in plans], **body}
    return await call(remediation_actions_api.approve_remediation, order, id=identity)


async def show_remediation(reply: Reply, **query: str) -> Any:
    identity = reply.document["id"]
    return (await call(remediations_api.show_remediation, id=identity, query=query)).document


async def test_api_starts_approves_and_shows_a_remediation(scenario: Scenario) -> None:
    scenario.world.traffic.beat(
        scenario.world
    )  # a run shows the plan which trigger URL to look for
    started = await start_remediation(scenario)
    identity = started.document["id"]
    planned = await show_remediation(started)
    plan = await call(remediations_api.show_plan, id=identity)
    approved = await approve_plans(identity, approved_by="admin")
    await scenario.run(timedelta(hours=1))
    running = await show_remediation(started)
    await scenario.run(timedelta(days=30))
    ended = await show_remediation(started, include_history="true")

    assert started.status == 202
    assert started.headers["Location"] == f"/api/remediations/{identity}"
    assert planned["progress"]["state"] == "awaiting_approval"
    (item,) = plan.document["items"][0]["items"]
    assert item["display_name"] == "Orders"
    assert item["callers"][0]["kind"] == "app_setting"
    assert any("turn the copy on" in write for write in item["planned_changes"])
    assert approved.status == 202
    assert approved.document == {
        "flow_count": 1,
        "flow_names": ["Contoso"],
        "kill_switch_on": False,
    }
    assert planned["progress"]["next_check_at"] is None
    assert (
        planned["progress"]["approval_expires_at"]
        == planned["environment_jobs"][0]["approval_expires_at"]
    )
    assert running["progress"]["state"] == "in_progress"
    assert running["progress"]["flow_states"] == {"waiting": 1}
    assert running["progress"]["next_check_at"] == running["flow_jobs"][0]["next_check_at"]
    assert running["flow_jobs"][0]["step"] == "checking_for_calls"
    assert running["flow_jobs"][0]["history"] == []
    assert ended["progress"] == {
        "state": "completed",
        "environment_states": {"completed": 1},
        "flow_states": {"retired": 1},
        "action_required_count": 0,
        "both_off_count": 0,
        "not_migrated": {},
        "next_check_at": None,
        "approval_expires_at": None,
    }
    assert [line["state"] for line in ended["flow_jobs"][0]["history"]][-1] == "retired"
    assert ended["environment_jobs"][0]["approved_by"] == "admin"
    for answer in (planned, plan.document, running, ended):
        assert not find_trigger_urls(str(answer))
        assert "sig=" not in str(answer)
        assert "signature" not in str(answer)


async def test_same_idempotency_key_returns_the_same_remediation(scenario: Scenario) -> None:
    first = await start_remediation(scenario, key="monday")
    again = await start_remediation(scenario, key="monday")
    other = await start_remediation(scenario, key="monday", mode="assess")
    new = await start_remediation(scenario, key="tuesday", mode="assess")

    assert first.document["id"] == again.document["id"] != new.document["id"]
    assert other.status == 409
    assert other.document["reason_code"] == "idempotency_key_reused"
    assert len((await call(remediations_api.list_remediations)).document["items"]) == 2


async def test_requests_without_a_key_start_separate_remediations(scenario: Scenario) -> None:
    first = await start_remediation(scenario, mode="assess", started_by="night shift")
    second = await start_remediation(scenario, mode="assess", started_by="night shift")

    assert first.document["id"] != second.document["id"]
    assert first.document["idempotency_key"].startswith("night shift ")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "apply-now"}, "mode"),
        ({"environment_ids": []}, "environment_ids"),
        ({"environment_ids": ["a/b"]}, "environment_ids.0"),
        ({"environment_ids": "all"}, "environment_ids"),
        ({"flow_ids": [7]}, "flow_ids.0"),
        ({"flow": ["a"]}, "flow"),
    ],
)
async def test_invalid_request_is_rejected_with_its_field(
    scenario: Scenario, body: Any, field: str
) -> None:
    reply = await start_remediation(scenario, **body)

    assert reply.status == 400
    assert reply.document["errors"][0]["field"] == field
    assert await scenario.services.tables.remediations.read_all() == []


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\x00b"])
async def test_invalid_idempotency_key_is_rejected(scenario: Scenario, key: str) -> None:
    reply = await start_remediation(scenario, key=key)

    assert reply.status == 400
    assert reply.document["errors"][0]["field"] == "Idempotency-Key"


async def test_request_for_an_unknown_environment_is_not_found(scenario: Scenario) -> None:
    reply = await start_remediation(scenario, environment_ids=[NOWHERE])

    assert reply.status == 404
    assert NOWHERE in reply.document["detail"]


async def test_apply_is_rejected_for_a_read_only_environment(scenario: Scenario) -> None:
    scenario.mode = ApprovalPolicy.READ_ONLY
    await scenario.opt_in()

    refused = await start_remediation(scenario)
    allowed = await start_remediation(scenario, mode="dry_run")

    assert refused.status == 409
    assert refused.document["reason_code"] == "environment_read_only"
    assert "cmkflow environment set" in refused.document["fix"]
    assert allowed.status == 202


async def test_remediations_are_listed_newest_first_and_filtered(scenario: Scenario) -> None:
    await start_remediation(scenario, mode="assess", key="first")
    await start_remediation(scenario, mode="dry_run", key="second")

    async def list_keys(**query: str) -> list[str]:
        reply = await call(remediations_api.list_remediations, query=query)
        return [item["remediation"]["idempotency_key"] for item in reply.document["items"]]

    assert await list_keys() == ["second", "first"]
    assert await list_keys(limit="1") == ["second"]
    assert await list_keys(mode="assess") == ["first"]
    assert await list_keys(environment=scenario.build.environment.id.upper()) == ["second", "first"]
    assert await list_keys(environment=NOWHERE) == []
    assert await list_keys(start_source="daily_check") == []
    assert await list_keys(state="completed") == ["second", "first"]


async def test_pages_list_each_remediation_once(scenario: Scenario) -> None:
    for key in ("first", "second", "third"):
        await start_remediation(scenario, mode="dry_run", key=key)
    seen, after = [], ""
    for _ in range(3):
        reply = await call(remediations_api.list_remediations, query={"limit": "1", "after": after})
        (item,) = reply.document["items"]
        seen.append(item["remediation"]["idempotency_key"])
        after = reply.document["next"]

    assert seen == ["third", "second", "first"]
    assert after == ""


async def test_next_page_follows_a_remediation_that_changed_its_state(scenario: Scenario) -> None:
    for key in ("first", "second", "third"):
        await start_remediation(scenario, key=key)
    query = {"limit": "1", "state": "awaiting_approval"}
    page = (await call(remediations_api.list_remediations, query=query)).document
    ended = await call(remediation_actions_api.cancel_remediation, id=page["next"])

    reply = await call(remediations_api.list_remediations, query={**query, "after": page["next"]})

    assert ended.status == 202
    assert [one["remediation"]["idempotency_key"] for one in reply.document["items"]] == ["second"]


async def test_page_after_an_unknown_remediation_is_rejected(scenario: Scenario) -> None:
    """An empty page would mean that nothing follows."""
    await start_remediation(scenario, mode="dry_run", key="only")

    reply = await call(remediations_api.list_remediations, query={"after": NOWHERE})

    assert reply.status == 404
    assert "`next` from the previous page" in reply.document["detail"]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "x"}, {"mode": "x"}, {"state": "x"}, {"page": "2"}]
)
async def test_invalid_filter_is_rejected(scenario: Scenario, query: dict[str, str]) -> None:
    """An empty list would mean that no remediation matches."""
    reply = await call(remediations_api.list_remediations, query=query)

    assert reply.status == 400
    assert reply.document["errors"][0]["field"] == next(iter(query))


async def test_approval_needs_a_name(scenario: Scenario) -> None:
    identity = (await start_remediation(scenario)).document["id"]

    (plan,) = (await call(remediations_api.show_plan, id=identity)).document["items"]
    order = {"versions": [plan["version"]]}
    nobody = await call(remediation_actions_api.approve_remediation, order, id=identity)
    headers = build_sign_in_header("admin@contoso.example")
    somebody = await call(
        remediation_actions_api.approve_remediation, order, id=identity, headers=headers
    )

    assert nobody.status == 400
    assert somebody.status == 202
    (job,) = await scenario.services.tables.environment_jobs.read_all(identity)
    assert job.approved_by == "admin@contoso.example"


async def test_second_approval_is_rejected_with_a_reason(scenario: Scenario) -> None:
    identity = (await start_remediation(scenario)).document["id"]

    await approve_plans(identity, approved_by="a")
    reply = await approve_plans(identity, approved_by="b")

    assert reply.status == 409
    assert reply.document["reason_code"] == "nothing_to_approve"


async def test_cancel_ends_a_remediation_whose_plan_awaits_approval(scenario: Scenario) -> None:
    started = await start_remediation(scenario)

    reply = await call(remediation_actions_api.cancel_remediation, id=started.document["id"])

    assert reply.status == 202
    assert (await show_remediation(started))["progress"]["state"] == "cancelled"


async def test_blocked_environment_is_shown_with_fix_and_can_be_retried(
    scenario: Scenario,
) -> None:
    started = await start_remediation(scenario)
    table = scenario.services.tables.environment_jobs
    (kept,) = [one async for one in table.query(started.document["id"])]
    blocked = stop_with_reason(
        kept.item,
        EnvironmentJobState.BLOCKED,
        "No.",
        "Do this.",
        code="environment_read_only",
        now=scenario.services.now,
    )
    await table.replace(kept, blocked)

    stuck = await show_remediation(started)
    reply = await call(remediation_actions_api.retry_remediation, id=started.document["id"])
    after = await show_remediation(started)

    assert stuck["progress"]["state"] == "blocked"
    assert stuck["environment_jobs"][0]["fix"] == "Do this."
    assert stuck["environment_jobs"][0]["reason_code"] == "environment_read_only"
    assert reply.document == {
        "flow_count": 1,
        "flow_names": ["Contoso"],
        "kill_switch_on": False,
        "unreadable_rows": [],
        "message": "",
        "fix": "",
    }
    assert after["environment_jobs"][0]["state"] == EnvironmentJobState.AWAITING_APPROVAL


async def test_request_for_an_unknown_flow_is_rejected_with_suggestions(scenario: Scenario) -> None:
    await scenario.opt_in()
    environment = scenario.build.environment
    (flow,) = environment.flows
    order = {"mode": "apply", "environment_ids": [environment.id], "flow_ids": [flow]}
    key = {"Idempotency-Key": "change-1"}
    start_it = remediations_api.start_remediation

    refused = await call(start_it, order | {"flow_ids": [flow, flow[:-2]]})
    nothing = await call(remediations_api.list_remediations)
    first = await call(start_it, order, headers=key)
    del environment.flows[flow]
    again = await call(start_it, order, headers=key)

    assert refused.status == 404
    assert refused.document["suggestions"] == [{"id": flow, "name": "Orders"}]
    assert nothing.document["items"] == []
    assert (first.status, again.status) == (202, 202)
    assert again.document["id"] == first.document["id"]


async def test_named_flows_are_rolled_back(scenario: Scenario) -> None:
    started = await start_remediation(scenario)
    identity = started.document["id"]
    await approve_plans(identity, approved_by="admin")
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)

    unknown = await call(
        remediation_actions_api.roll_back_remediation, {"flow_ids": ["nope"]}, id=identity
    )
    empty = await call(remediation_actions_api.roll_back_remediation, {"flow_ids": []}, id=identity)
    flow = (await scenario.read_jobs())["Orders"].original.id.upper()
    reply = await call(
        remediation_actions_api.roll_back_remediation, {"flow_ids": [flow]}, id=identity
    )
    await scenario.run(timedelta(days=30))

    assert unknown.status == 404
    assert "nope" in unknown.document["detail"]
    assert empty.status == 400
    assert (reply.status, reply.document["flow_count"], reply.document["flow_names"]) == (
        202,
        1,
        ["Orders"],
    )
    assert (await scenario.read_jobs())["Orders"].state is FlowJobState.ROLLED_BACK


@pytest.mark.parametrize(
    "handler",
    [
        remediations_api.show_remediation,
        remediations_api.show_plan,
        remediation_actions_api.cancel_remediation,
        remediation_actions_api.retry_remediation,
        remediation_actions_api.roll_back_remediation,
    ],
)
async def test_an_unknown_remediation_is_not_found(scenario: Scenario, handler: Any) -> None:
    assert (await call(handler, id=NOWHERE)).status == 404
    assert (await call(handler, id="a/b")).status == 400


async def test_browser_is_redirected_to_the_plan_page(scenario: Scenario) -> None:
    identity = (await start_remediation(scenario)).document["id"]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    page = await call(remediations_api.show_plan, id=identity, headers=browser)
    asked = await call(remediations_api.show_plan, id=identity, query={"format": "html"})
    plain = await call(
        remediations_api.show_plan, id=identity, headers=browser, query={"format": "json"}
    )
    unknown = await call(remediations_api.show_plan, id=identity, query={"format": "pdf"})

    assert page.status == asked.status == 302
    assert page.headers == asked.headers
    assert page.headers["Location"] == f"/api/dashboard/remediations/{identity}/plan"
    assert plain.document["items"]
    assert unknown.status == 400


async def test_approval_of_an_outdated_plan_version_is_rejected(scenario: Scenario) -> None:
    identity = (await start_remediation(scenario)).document["id"]
    order = remediation_actions_api.approve_remediation

    stale = await call(order, {"approved_by": "a", "versions": ["0" * 16]}, id=identity)
    none = await call(order, {"approved_by": "a"}, id=identity)
    empty = await call(order, {"approved_by": "a", "versions": []}, id=identity)
    wrong = await call(order, {"approved_by": "a", "versions": ["LATEST"]}, id=identity)

    assert (stale.status, stale.document["reason_code"]) == (409, "plan_changed")
    assert "Read the plan again" in stale.document["fix"]
    assert {none.status, empty.status, wrong.status} == {400}


async def test_plans_are_filtered_by_environment(scenario: Scenario) -> None:
    identity = (await start_remediation(scenario)).document["id"]

    here = await call(
        remediations_api.show_plan,
        id=identity,
        query={"environment": scenario.build.environment.id},
    )
    elsewhere = await call(remediations_api.show_plan, id=identity, query={"environment": NOWHERE})

    (plan,) = here.document["items"]
    assert plan["environment_job"]["history"] == []
    assert elsewhere.document["items"] == []
