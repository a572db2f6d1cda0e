"""The evidence file of a remediation contains its approvals, changes and checks."""

import csv
import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from functions import (
    evidence_api,
    evidence_file,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from shared.bootstrap import provide
from shared.domain.callers.caller_records import CallerState
from shared.domain.evidence_file import (
    MANIFEST,
    SIGNATURE,
    find_manifest_differences,
    read_signature,
    read_time_stamp,
)
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.signature import Signature, SigningKey
from shared.domain.trigger_urls.trigger_url import mask_signatures
from shared.errors import PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import SigningKeys
from shared.reason import Reason
from shared.signatures import is_signature_valid
from shared.time_stamps import verify_time_stamp
from shared.use_cases.archive_runs import archive_runs
from shared.use_cases.show_remediation import show_plan
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.services import fake_settings
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    """A tenant of one linked environment with two flows, one of them called from a setting."""
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.app_setting_caller(scenario.build.http_flow("Orders"))
    scenario.build.http_flow("=Invoices")
    scenario.build.link()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def export_evidence(scenario: Scenario) -> bytes:
    """Return the valid evidence file."""
    provide(scenario.services)
    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)
    assert reply.status == 200
    assert list(find_manifest_differences(io.BytesIO(reply.content))) == []
    return reply.content


def read_files(content: bytes) -> dict[str, str]:
    """Return the texts of an evidence file by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def parse_lines(text: str) -> list[Any]:
    """Return the objects of a JSON Lines file."""
    return [json.loads(line) for line in text.splitlines()]


async def retire_originals(scenario: Scenario) -> None:
    """Start and approve a remediation, retire every original, and archive the flow runs."""
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    await scenario.approve()
    await archive_runs(scenario.services, scenario.remediation.id)
    assert {job.state for job in (await scenario.jobs()).values()} == {FlowJobState.RETIRED}


async def test_evidence_contains_the_approved_plan_and_its_approver(scenario: Scenario) -> None:
    """The SHA-256 of the plan in the file begins with the approved plan version."""
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    (shown,) = await show_plan(scenario.services, scenario.remediation.id)
    await scenario.approve()

    found = read_files(await export_evidence(scenario))

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
    """A person with the replaced URL can compute its hash and compare it."""
    (site,) = scenario.world.sites.values()
    (before,) = [v for v in site.settings.values() if "workflows" in v]
    await retire_originals(scenario)

    found = read_files(await export_evidence(scenario))

    flows = {line["job"]["display_name"]: line for line in parse_lines(found["flows.jsonl"])}
    changes = {change["kind"]: change for change in flows["Orders"]["changes"]}
    job = await scenario.job("Orders")
    assert changes["copy_created"]["hash_before"] == job.original_digest
    assert changes["copy_created"]["hash_after"] == job.copy_digest
    caller = changes["caller_updated"]
    masked = mask_signatures(before)
    assert caller["hash_before"] == hashlib.sha256(masked.encode()).hexdigest()
    assert (caller["id_before"], caller["id_after"]) == (job.original_url_id, job.copy_url_id)
    assert caller["state"] == CallerState.UPDATED
    assert flows["Orders"]["verification"]["message"].startswith("The copy is verified")
    assert flows["Orders"]["pending_callers"] == []
    turned = [one for one in flows["Orders"]["changes"] if one["kind"] == "turned_on_or_off"]
    assert [(one["location"], one["id_after"]) for one in turned][-1] == ("Orders", "off")


async def test_evidence_contains_run_summaries_and_names_omitted_parts(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run summaries are included up to a limit. Each further part is named."""
    await scenario.order()
    scenario.world.traffic.beat(scenario.world)
    await scenario.approve(run=timedelta(hours=6))
    await archive_runs(scenario.services, scenario.remediation.id)
    job = await scenario.job("Orders")
    name = f"runs/{job.environment_id}/{job.id}.jsonl"

    content = await export_evidence(scenario)
    runs = parse_lines(read_files(content)[name])
    monkeypatch.setattr(evidence_file, "MOST_RUN_BYTES", 0)
    without = read_files(await export_evidence(scenario))

    archive = await scenario.services.tables.run_archives.get(job.environment_id, job.id)
    assert archive is not None
    assert len(runs) == archive.item.runs > 0
    assert name not in without
    omitted = json.loads(without[MANIFEST])["omitted"]
    assert set(archive.item.parts) <= omitted.keys()
    assert archive.item.parts[0] in without["report.html"]


async def test_evidence_of_the_same_state_has_the_same_bytes(scenario: Scenario) -> None:
    """Only a change of the state changes the bytes of the evidence file."""
    await retire_originals(scenario)
    first = await export_evidence(scenario)
    scenario.world.clock.advance(timedelta(days=3))
    again = await export_evidence(scenario)
    await scenario.roll_back()

    assert first == again
    assert await export_evidence(scenario) != first


async def test_evidence_contains_changes_and_their_reverts(scenario: Scenario) -> None:
    """A reverted caller has the same hash as before its change."""
    await retire_originals(scenario)
    await scenario.roll_back()

    (line,) = [
        one
        for one in parse_lines(read_files(await export_evidence(scenario))["flows.jsonl"])
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


async def test_tables_and_report_show_each_flow(scenario: Scenario) -> None:
    """The evidence file has tables for a spreadsheet and a report to print."""
    await retire_originals(scenario)

    found = read_files(await export_evidence(scenario))

    rows = list(csv.DictReader(io.StringIO(found["flows.csv"])))
    assert {row["display_name"] for row in rows} == {"Orders", "'=Invoices"}
    changes = list(csv.DictReader(io.StringIO(found["changes.csv"])))
    total = sum(len(line["changes"]) for line in parse_lines(found["flows.jsonl"]))
    assert len(changes) == total
    assert "Approved version" in found["report.html"]
    for foreign in ("<script", "http://", "https://", "src=", "<link"):
        assert foreign not in found["report.html"]


async def test_report_lists_excluded_flows_with_the_reason(
    scenario: Scenario,
) -> None:
    """The report counts the excluded flow, and the table of all flows contains it."""
    await scenario.order()
    excluded = (await scenario.plan())["Orders"].workflow_id
    await scenario.approve(excluded)

    page = read_files(await export_evidence(scenario))["report.html"]

    assert "1 of 2 flows migrated, 1 not migrated." in page
    assert "migrated or prepared" not in page
    assert "This report is a record. It asks for nothing." in page
    assert "1 flow excluded from the approval" in page
    assert re.search(r"Approved version \w+ for Contoso, excluding 1 flow<", page)
    results = re.findall(r'<caption class="vh">([^<]+)</caption>.*?</table>', page, re.DOTALL)
    assert results[-2:] == ["Migrated", "Excluded from the approval"]
    assert '<th scope="row">=Invoices<td>' in page
    assert '<th scope="row">Orders<td>no copy<td><td>not turned on or off' in page


async def test_report_of_two_thousand_flows_is_one_small_file_with_folded_tables(
    scenario: Scenario,
) -> None:
    """The report lists each flow in at most 300 KB. A report of few flows has no folded table."""
    await scenario.order()
    few = read_files(await export_evidence(scenario))["report.html"]
    table = scenario.services.tables.plan_items
    item = (await scenario.plan())["Orders"]
    for number in range(2_000):
        workflow_id = f"f0000000-0000-4000-8000-{number:012d}"
        name = f"Flow number {number} of the sales team"
        await table.upsert(replace(item, workflow_id=workflow_id, display_name=name))

    page = read_files(await export_evidence(scenario))["report.html"]

    assert len(page.encode()) <= 300_000
    assert page.count('<th scope="row">Flow number') == 2_000
    summary = "<summary>Awaiting approval"
    assert f'<details class="fold" open>{summary}' in few
    assert f'<details class="fold">{summary}' in page


async def test_report_groups_flows_with_the_same_reason(scenario: Scenario) -> None:
    """Messages that differ only by the flow's name are one reason."""
    await scenario.order()
    await scenario.approve(run=timedelta(hours=6))
    for job in (await scenario.jobs()).values():
        text = f"The owner of {job.display_name} has left."
        blocked = stop_with_reason(
            job, FlowJobState.BLOCKED, text, "Name another owner.",
            code=Reason.OWNER_UNAVAILABLE, now=scenario.services.now,
        )  # fmt: skip
        await scenario.services.tables.flow_jobs.upsert(blocked)

    page = read_files(await export_evidence(scenario))["report.html"]

    assert "2 flows blocked</h3>" in page
    assert unescape(page).count(Reason.OWNER_UNAVAILABLE.meaning) == 1
    assert "has left." not in page


async def test_report_counts_archived_calls_before_and_after_the_cutover(
    scenario: Scenario,
) -> None:
    """Without archived runs, the report says that it does not show calls."""
    await scenario.order()
    scenario.world.traffic.beat(scenario.world)
    await scenario.approve(run=timedelta(hours=6))
    without = read_files(await export_evidence(scenario))["report.html"]
    await archive_runs(scenario.services, scenario.remediation.id)
    job = await scenario.job("Orders")
    archive = await scenario.services.tables.run_archives.get(job.environment_id, job.id)
    assert archive is not None

    page = read_files(await export_evidence(scenario))["report.html"]

    row = re.search(
        r'<th scope="row">Orders<td>[^<]+<td>(\d+)<td>(\d+)<td>[^<]+<', page.partition("Runs of")[2]
    )
    assert row is not None
    assert int(row[1]) + int(row[2]) == archive.item.runs
    assert int(row[1]) > 0
    assert "does not show calls before and after the cutover" in without


async def test_report_shows_reverted_changes(scenario: Scenario) -> None:
    """The caller names the original again, and the copy is off."""
    await retire_originals(scenario)
    await scenario.roll_back()

    page = read_files(await export_evidence(scenario))["report.html"]

    changes = re.findall(r'<tr><th scope="row">([^<]+)</th><td>(\d+)</td><td>(\d*)</td>', page)
    assert ("Copies created", "2", "2") in changes
    assert ("Callers updated by the app", "1", "1") in changes
    assert ("Originals now turned on", "2", "") in changes
    assert ("Originals deleted", "0", "0") in changes
    assert "0 of 2 flows migrated, 2 not migrated." in page


async def test_report_shows_each_request_once_and_counts_rejected_ones(
    scenario: Scenario,
) -> None:
    """The audit log has two entries for a request; the start is shown with its source."""
    await scenario.order()
    provide(scenario.services)
    path = f"remediations/{scenario.remediation.id}/cancel"
    await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id, path=path)
    wrong = await call(
        remediation_actions_api.approve_remediation,
        {"versions": ["0" * 16], "approved_by": "tests"},
        id=scenario.remediation.id,
        path=f"remediations/{scenario.remediation.id}/approve",
    )

    page = read_files(await export_evidence(scenario))["report.html"]

    assert wrong.status >= 400
    assert page.count("Cancelled the remediation<") == 1
    assert "Started the remediation (apply)" in page
    assert "1 request was rejected" in page


async def test_report_lists_only_decisions_and_ends_with_the_last_one(scenario: Scenario) -> None:
    """That the app has nothing more to do is no decision. The title names the last day."""
    await retire_originals(scenario)
    began = scenario.remediation.created_at
    scenario.world.clock.advance(timedelta(days=30))
    provide(scenario.services)
    path = f"remediations/{scenario.remediation.id}/retry"
    await call(remediation_actions_api.retry_remediation, {}, id=scenario.remediation.id, path=path)

    page = read_files(await export_evidence(scenario))["report.html"]

    decided = re.findall(
        r"<tr><th scope=\"row\"><span[^>]+>([^<]+)</span></th><td[^>]*>([^<]*)<", page
    )
    assert {who for _, who in decided}.isdisjoint({"the app"})
    days = [f"{day:%-d %B %Y}" for day in (began, scenario.services.now)]
    assert f"{days[0]} to {days[1]}</h1>" in page


async def test_evidence_contains_no_signature(scenario: Scenario) -> None:
    """No file contains the signature of the old or the new trigger URL."""
    signatures = {
        scenario.build.url_of(flow).rpartition("sig=")[2]
        for flow in scenario.build.environment.flows.values()
    }
    await retire_originals(scenario)

    text = "\n".join(read_files(await export_evidence(scenario)).values())

    assert all(signature not in text for signature in signatures)
    assert mask_signatures(text) == text


async def test_evidence_names_an_archived_plan_that_is_missing(scenario: Scenario) -> None:
    """The evidence file says that the archived plan is missing."""
    await retire_originals(scenario)
    for name in [one for one in scenario.fakes.archive.contents if one.startswith("plans/")]:
        del scenario.fakes.archive.contents[name]

    found = read_files(await export_evidence(scenario))

    (lost,) = json.loads(found[MANIFEST])["omitted"]
    assert lost.startswith("approved-plans/")
    assert lost not in found


async def test_export_reads_each_row_once(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app reads each row once for all files."""
    await retire_originals(scenario)
    read: list[tuple[str, str, str]] = []
    query = type(scenario.fakes.store).query

    async def counting(self: Any, *args: Any, **options: Any) -> Any:
        async for row in query(self, *args, **options):
            read.append((row.table, row.partition, row.key))
            yield row

    monkeypatch.setattr(type(scenario.fakes.store), "query", counting)
    await export_evidence(scenario)

    assert {table for table, _, _ in read} >= {
        "flowjobs",
        "callers",
        "callereditintents",
        "planitems",
    }
    assert sorted(set(read)) == sorted(read)


async def test_report_before_the_approval_has_no_flow_job(scenario: Scenario) -> None:
    """Before the approval, the report says that no flow job was started."""
    await scenario.order()

    found = read_files(await export_evidence(scenario))

    assert "No flow job was started." in found["report.html"]
    assert "flows.jsonl" not in found
    assert len(found["changes.csv"].splitlines()) == 1


async def test_evidence_contains_audit_entries_of_its_remediation_only(scenario: Scenario) -> None:
    """The audit entries of this remediation are included, and no others."""
    await scenario.order()
    provide(scenario.services)
    strange = {"is_on": False, "justification": "a test", "changed_by": "tests"}
    await call(kill_switch_api.set_kill_switch, strange, path="kill-switch")
    path = f"remediations/{scenario.remediation.id}/cancel"
    await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id, path=path)

    orders = parse_lines(read_files(await export_evidence(scenario))["audit.jsonl"])

    assert [(one["operation"], one["status"]) for one in orders] == [
        ("cancel_remediation", 202),
        ("cancel_remediation", None),
    ]
    assert all(scenario.remediation.id in one["target"] for one in orders)


async def test_evidence_contains_the_audit_entry_of_the_start(scenario: Scenario) -> None:
    """The entry of the start is included, although it is older than the remediation."""
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

    orders = parse_lines(read_files(await export_evidence(scenario))["audit.jsonl"])

    assert [(one["operation"], one["status"]) for one in orders] == [
        ("start_remediation", 202),
        ("start_remediation", None),
    ]


async def export_signed_manifest(scenario: Scenario) -> tuple[bytes, Signature | str]:
    """Return manifest and signature of the evidence file of an app with a key."""
    scenario.settings = fake_settings(evidence_key=KEY_URL)
    return read_signature(io.BytesIO(await export_evidence(scenario)))


async def test_evidence_is_signed_with_the_current_key_version(scenario: Scenario) -> None:
    """The signature states key, version and algorithm, and is the same for the same state."""
    await scenario.order()
    add_evidence_key(scenario.world)
    newest = add_evidence_key(scenario.world)

    manifest, signature = await export_signed_manifest(scenario)

    assert isinstance(signature, Signature)
    assert (signature.key_id, signature.algorithm) == (newest, "RS256")
    assert is_signature_valid(signature, manifest)
    assert not is_signature_valid(signature, manifest + b" ")
    assert await export_signed_manifest(scenario) == (manifest, signature)


async def test_evidence_without_a_key_has_the_reason_instead_of_a_signature(
    scenario: Scenario,
) -> None:
    """Without a key, the file says that it is not signed."""
    await scenario.order()

    _, signature = read_signature(io.BytesIO(await export_evidence(scenario)))

    assert signature == "no key is configured (CMK_EVIDENCE_KEY)"


class _OneFails:
    """A signing key port of which one method fails."""

    def __init__(self, keys: SigningKeys, method: str, error: Exception) -> None:
        self._keys, self._method, self._error = keys, method, error

    async def read(self, key_url: str) -> SigningKey:
        """Return the key, or raise."""
        self._fail("read")
        return await self._keys.read(key_url)

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        """Return the signature, or raise."""
        self._fail("sign")
        return await self._keys.sign(key, digest)

    def _fail(self, method: str) -> None:
        if method == self._method:
            raise self._error


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("not for you", code="Forbidden", status=403),
        ThrottledError("too many requests"),
        ServiceUnavailable("Key Vault: timeout"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["read", "sign"])
async def test_evidence_is_exported_without_signature_if_the_vault_fails(
    scenario: Scenario, method: str, error: Exception
) -> None:
    """The evidence file contains the reason."""
    await scenario.order()
    add_evidence_key(scenario.world)
    scenario.settings = fake_settings(evidence_key=KEY_URL)
    keys = _OneFails(scenario.services.signing_keys, method, error)
    provide(replace(scenario.services, signing_keys=keys))

    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)

    assert reply.status == 200
    _, signature = read_signature(io.BytesIO(reply.content))
    assert signature == f"the key vault did not sign it: {error}"


async def test_evidence_is_exported_without_signature_if_the_key_is_missing_or_off(
    scenario: Scenario,
) -> None:
    """The key may be deleted or disabled."""
    await scenario.order()

    _, missing = await export_signed_manifest(scenario)
    add_evidence_key(scenario.world, is_enabled=False)
    _, disabled = await export_signed_manifest(scenario)

    assert isinstance(missing, str)
    assert "no key evidence" in missing
    assert isinstance(disabled, str)
    assert "KeyDisabled" in disabled


async def export_stamped_signature(
    scenario: Scenario, **settings: str
) -> tuple[bytes, bytes | str]:
    """Return signature file and time stamp of the evidence file of an app with an authority."""
    scenario.settings = fake_settings(
        **{"evidence_key": KEY_URL, "time_stamp_authority": "https://tsa.example/", **settings}
    )
    return read_time_stamp(io.BytesIO(await export_evidence(scenario)))


async def test_evidence_has_a_time_stamp_of_its_signature(
    scenario: Scenario,
) -> None:
    """The signature covers the manifest, so the time stamp dates all files."""
    await scenario.order()
    add_evidence_key(scenario.world)

    signature, answer = await export_stamped_signature(scenario)

    assert isinstance(answer, bytes)
    assert verify_time_stamp(answer, signature).at == scenario.world.clock.now().replace(
        microsecond=0
    )
    assert json.loads(signature)["key_id"] == f"{KEY_URL}/v1"


async def test_evidence_without_signature_or_authority_has_no_time_stamp(
    scenario: Scenario,
) -> None:
    """The evidence file contains the reason."""
    await scenario.order()

    _, unsigned = await export_stamped_signature(scenario, evidence_key="")
    add_evidence_key(scenario.world)
    _, unset = await export_stamped_signature(scenario, time_stamp_authority="")

    assert unsigned == "the file is not signed"
    assert unset == "no time stamp authority is configured (CMK_TIME_STAMP_AUTHORITY)"


class _FailingAuthority:
    """A time stamp port that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Raise."""
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("the request was rejected", code="BadTimeStamp", status=502),
        ThrottledError("too many requests"),
        ServiceUnavailable("Time stamp authority: timeout"),
    ],
    ids=repr,
)
async def test_evidence_is_exported_without_time_stamp_if_the_authority_fails(
    scenario: Scenario, error: Exception
) -> None:
    """The evidence file is signed, and contains the reason and the fix."""
    await scenario.order()
    add_evidence_key(scenario.world)
    scenario.settings = fake_settings(
        evidence_key=KEY_URL, time_stamp_authority="https://tsa.example/"
    )
    provide(replace(scenario.services, time_stamps=_FailingAuthority(error)))

    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)

    assert reply.status == 200
    assert SIGNATURE in read_files(reply.content)
    assert not isinstance(read_signature(io.BytesIO(reply.content))[1], str)
    _, reason = read_time_stamp(io.BytesIO(reply.content))
    assert reason == (f"{error}. Check CMK_TIME_STAMP_AUTHORITY, then export the evidence again")
