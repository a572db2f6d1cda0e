import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from local_cloud.demo.flow_results import FlowResult
from local_cloud.demo.flow_trace import build_flow_trace
from local_cloud.demo.report import write_reports
from local_cloud.demo.report_page import group_flows, render_report_page
from local_cloud.demo.run import find_log_error
from local_cloud.tenant.core.profiles import Profile
from tests.local_cloud.demo.test_demo_cost import build_report
from tests.local_cloud.demo.test_demo_result import RETIRED
from tests.local_cloud.demo.test_flow_trace import TITLES, build_span, build_trace


def build_blocked_flow(title: str) -> FlowResult:
    return replace(
        RETIRED,
        title=title,
        state="blocked",
        code="firewall_denies",
        explanation=f"Firewalls deny the copy of {title}.",
        fix="Allow the addresses, then retry.",
    )


def write_page(tmp_path: Path, *flows: FlowResult, failures: tuple[str, ...] = ()) -> str:
    made = build_report(Profile.DOCUMENTED, waits=1, documented={})
    outcome = replace(made.outcome, flows=list(flows), failures=list(failures))
    write_reports(replace(made, outcome=outcome, notes=[(1.5, "The key is applied.")]), tmp_path)
    return (tmp_path / "report.html").read_text()


def test_page_shows_the_end_time_and_the_required_actions(tmp_path: Path) -> None:
    text = write_page(tmp_path, RETIRED, build_blocked_flow("<b>ERP</b>"))

    assert "2026-03-02 09:30 UTC" in text
    assert "Platform profile: documented" in text
    assert "worked on 2 flows of Operations. Each flow ended as the demo expects." in text
    assert "You need not do anything. In a real tenant, 1 flow would require an action" in text
    assert "&lt;b&gt;ERP" in text
    assert "The key is applied." in text
    assert not re.search(r"<script|<link|https?://|\sstyle=", text)


def test_page_of_a_failed_demo_lists_the_failures_first(tmp_path: Path) -> None:
    text = write_page(tmp_path, RETIRED, failures=("a call of the shop was lost",))

    assert "The demo failed: 1 check did not pass." in text
    assert text.index("a call of the shop was lost") < text.index("Flows that require an action")


def test_page_of_a_complete_demo_lists_no_required_action(tmp_path: Path) -> None:
    text = write_page(tmp_path, RETIRED)

    assert "<span>The demo succeeded: no call was lost.</span>" in text
    assert "None." in text


def test_flows_with_the_same_reason_are_grouped() -> None:
    alike = [asdict(build_blocked_flow(f"Flow {number}")) for number in range(12)]
    other = asdict(replace(build_blocked_flow("Mail"), code="other", fix="Share the connection."))

    groups = group_flows([other, *alike])

    assert [len(group.flows) for group in groups] == [12, 1]
    assert groups[0].fix == "Allow the addresses, then retry."


def test_parts_of_the_page_add_up_to_all_flows(tmp_path: Path) -> None:
    unknown = replace(RETIRED, title="X", state="paused")

    text = write_page(tmp_path, RETIRED, build_blocked_flow("A"), build_blocked_flow("B"), unknown)

    numbers = re.findall(r'<b class="num">.*?</svg>(\d+)</b><span>([^<]+)<', text)
    assert numbers == [("2", "are blocked"), ("1", "is migrated to a copy"), ("1", "paused")]


def test_report_of_an_older_demo_without_a_date_is_shown(tmp_path: Path) -> None:
    write_page(tmp_path, RETIRED)
    document = json.loads((tmp_path / "report.json").read_text())

    assert "2026" not in render_report_page(document | {"ended_at": ""})
    assert datetime.fromisoformat(document["ended_at"]) == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("logger", "message", "is_error"),
    [
        ("functions.endpoints", "internal error", True),
        ("host.worker", "the worker ended", True),
        ("shared.jobs", "action required", False),
    ],
)
def test_demo_finds_internal_errors_in_the_log(
    *, logger: str, message: str, is_error: bool
) -> None:
    line = json.dumps({"logger": logger, "level": "ERROR", "message": message})

    assert bool(find_log_error(line)) is is_error


def test_fix_of_a_flow_has_a_command_with_names(tmp_path: Path) -> None:
    start = "cmkflow remediation start e443df78-9558-467f-9ba9-1faf7a024204 --mode apply --flow "
    start += "c87a7463-19c1-4a0d-8feb-d845d0dfae43"
    flow = replace(
        RETIRED,
        state="needs_changes",
        environment="Operations",
        title="List all flows (V1)",
        fix=f"Start a new remediation for this flow (`{start}`).",
    )

    text = unescape(write_page(tmp_path, flow))

    command = "cmkflow remediation start Operations --mode apply --flow 'List all flows (V1)'"
    assert f"<code>{command}</code>" in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)


def test_numbers_that_are_zero_are_omitted(tmp_path: Path) -> None:
    text = write_page(tmp_path, RETIRED)

    numbers = dict(re.findall(r"<div><dt>([^<]+)</dt><dd>([^<]+)</dd></div>", text))
    assert numbers["Calls lost"] == "0"
    assert "Flows prepared before the key" not in numbers
    assert not any(value == "0" for name, value in numbers.items() if name != "Calls lost")
    assert "<summary>Firewalls" not in text
    assert "0 flows" not in text


def test_page_draws_the_trace_of_a_flow(tmp_path: Path) -> None:
    made = build_report(Profile.DOCUMENTED, waits=1, documented={})
    spans = [*build_trace(), build_span("PATCH <x>", 61.5, 62, "step 1", has_failed=True)]
    outcome = replace(made.outcome, trace=build_flow_trace(spans, TITLES))
    write_reports(replace(made, outcome=outcome), tmp_path)
    text = (tmp_path / "report.html").read_text()

    assert "Trace of Orders" in text
    assert re.search(r"PATCH &lt;x&gt;</td>.*?<rect class=\"f-bad\" x=\"[\d.]+%\"", text)
    assert "GET …/sites × 3" in text
    assert "Trace of" not in write_page(tmp_path, RETIRED)
