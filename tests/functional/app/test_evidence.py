import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import (
    evidence_file,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from shared.bootstrap import provide
from shared.domain.callers.caller_records import CallerState
from shared.domain.evidence_file import (
    MANIFEST,
)
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.use_cases.archive_runs import archive_runs
from shared.use_cases.show_remediation import show_plan
from tests.functional.app.evidence_scenario import (
    build_evidence_scenario,
    export_evidence,
    extract_files,
    parse_lines,
    retire_originals,
)
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_evidence_scenario()


async def test_evidence_contains_the_approved_plan_and_its_approver(scenario: Scenario) -> None:
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    (shown,) = await show_plan(scenario.services, scenario.remediation.id)
    await scenario.approve()

    found = extract_files(await export_evidence(scenario))

    (approved,) = json.loads(found["remediation.json"])["environment_jobs"][0]["approved_plans"]
    assert (approved["version"], approved["approved_by"]) == (shown.version, "tests")
    plan = found[f"approved-plans/{scenario.build.environment.id}/{shown.version}.json"]
    assert hashlib.sha256(plan.encode()).hexdigest().startswith(shown.version)
    titles = {item["display_name"]: item for item in json.loads(plan)["items"]}
    assert titles.keys() == {"Orders", "=Invoices"}
    assert (
        tuple(titles["Orders"]["planned_changes"])
        == (await scenario.plan())["Orders"].planned_changes
    )
    assert {line["approval_number"] for line in parse_lines(found["plan.jsonl"])} == {1}


async def test_evidence_contains_each_change_with_hashes_before_and_after(
    scenario: Scenario,
) -> None:
    (site,) = scenario.world.sites.values()
    (before,) = [v for v in site.settings.values() if "workflows" in v]
    await retire_originals(scenario)

    found = extract_files(await export_evidence(scenario))

    flows = {line["job"]["display_name"]: line for line in parse_lines(found["flows.jsonl"])}
    changes = {change["kind"]: change for change in flows["Orders"]["changes"]}
    job = await scenario.read_job("Orders")
    assert changes["copy_created"]["hash_before"] == job.original.digest
    assert changes["copy_created"]["hash_after"] == job.copy.digest
    caller = changes["caller_updated"]
    masked = mask_signatures(before)
    assert caller["hash_before"] == hashlib.sha256(masked.encode()).hexdigest()
    assert (caller["id_before"], caller["id_after"]) == (job.original.url_id, job.copy.url_id)
    assert caller["state"] == CallerState.UPDATED
    assert flows["Orders"]["verification"]["message"].startswith("The copy is verified")
    assert flows["Orders"]["pending_callers"] == []
    turned = [one for one in flows["Orders"]["changes"] if one["kind"] == "turned_on_or_off"]
    assert [(one["location"], one["id_after"]) for one in turned][-1] == ("Orders", "off")


async def test_evidence_contains_run_summaries_and_names_omitted_parts(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scenario.order()
    scenario.world.traffic.beat(scenario.world)
    await scenario.approve(run=timedelta(hours=6))
    await archive_runs(scenario.services, scenario.remediation.id)
    job = await scenario.read_job("Orders")
    name = f"runs/{job.environment_id}/{job.id}.jsonl"

    content = await export_evidence(scenario)
    runs = parse_lines(extract_files(content)[name])
    monkeypatch.setattr(evidence_file, "MOST_RUN_BYTES", 0)
    without = extract_files(await export_evidence(scenario))

    archive = await scenario.services.tables.run_archives.get(job.environment_id, job.id)
    assert archive is not None
    assert len(runs) == archive.item.runs > 0
    assert name not in without
    omitted = json.loads(without[MANIFEST])["omitted"]
    assert set(archive.item.parts) <= omitted.keys()
    assert archive.item.parts[0] in without["report.html"]


async def test_evidence_of_the_same_state_has_the_same_bytes(scenario: Scenario) -> None:
    await retire_originals(scenario)
    first = await export_evidence(scenario)
    scenario.world.clock.advance(timedelta(days=3))
    again = await export_evidence(scenario)
    await scenario.roll_back()

    assert first == again
    assert await export_evidence(scenario) != first


async def test_evidence_contains_changes_and_their_reverts(scenario: Scenario) -> None:
    await retire_originals(scenario)
    await scenario.roll_back()

    (line,) = [
        one
        for one in parse_lines(extract_files(await export_evidence(scenario))["flows.jsonl"])
        if one["job"]["display_name"] == "Orders"
    ]

    there, back = (
        next(one for one in line["changes"] if one["kind"] == kind)
        for kind in ("caller_updated", "caller_reverted")
    )
    assert (back["hash_before"], back["hash_after"]) == (
        there["hash_after"],
        there["hash_before"],
    )
    assert back["state"] == CallerState.REVERTED
    assert line["job"]["state"] == FlowJobState.ROLLED_BACK


async def test_evidence_contains_no_signature(scenario: Scenario) -> None:
    signatures = {
        scenario.build.get_trigger_url(flow).rpartition("sig=")[2]
        for flow in scenario.build.environment.flows.values()
    }
    await retire_originals(scenario)

    text = "\n".join(extract_files(await export_evidence(scenario)).values())

    assert all(signature not in text for signature in signatures)
    assert mask_signatures(text) == text


async def test_evidence_names_an_archived_plan_that_is_missing(scenario: Scenario) -> None:
    await retire_originals(scenario)
    for name in [one for one in scenario.fakes.archive.contents if one.startswith("plans/")]:
        del scenario.fakes.archive.contents[name]

    found = extract_files(await export_evidence(scenario))

    (lost,) = json.loads(found[MANIFEST])["omitted"]
    assert lost.startswith("approved-plans/")
    assert lost not in found


async def test_export_reads_each_row_once(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await retire_originals(scenario)
    read: list[tuple[str, str, str]] = []
    query = type(scenario.fakes.store).query

    async def query_and_record(self: Any, *args: Any, **options: Any) -> Any:
        async for row in query(self, *args, **options):
            read.append((row.table, row.partition, row.key))
            yield row

    monkeypatch.setattr(type(scenario.fakes.store), "query", query_and_record)
    await export_evidence(scenario)

    assert {table for table, _, _ in read} >= {
        "flowjobs",
        "callers",
        "callereditintents",
        "planitems",
    }
    assert sorted(set(read)) == sorted(read)


async def test_evidence_contains_audit_entries_of_its_remediation_only(scenario: Scenario) -> None:
    await scenario.order()
    provide(scenario.services)
    strange = {"is_on": False, "justification": "a test", "changed_by": "tests"}
    await call(kill_switch_api.set_kill_switch, strange, path="kill-switch")
    path = f"remediations/{scenario.remediation.id}/cancel"
    await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id, path=path)

    orders = parse_lines(extract_files(await export_evidence(scenario))["audit.jsonl"])

    assert [(one["operation"], one["status"]) for one in orders] == [
        ("cancel_remediation", 202),
        ("cancel_remediation", None),
    ]
    assert all(scenario.remediation.id in one["target"] for one in orders)


async def test_evidence_contains_the_audit_entry_of_the_start(scenario: Scenario) -> None:
    """The entry of the start is older than the remediation."""
    order = {"mode": "dry_run", "environment_ids": [scenario.build.environment.id]}
    provide(scenario.services)
    made = await call(remediations_api.start_remediation, order)
    table = scenario.services.tables.remediations
    kept = await table.get("remediation", made.document["id"])
    assert kept is not None
    scenario.remediation = replace(
        kept.item, created_at=kept.item.created_at + timedelta(seconds=1)
    )
    await table.replace(kept, scenario.remediation)

    orders = parse_lines(extract_files(await export_evidence(scenario))["audit.jsonl"])

    assert [(one["operation"], one["status"]) for one in orders] == [
        ("start_remediation", 202),
        ("start_remediation", None),
    ]
