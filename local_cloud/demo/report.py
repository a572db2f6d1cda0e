"""Write the results of the demo: a summary, an HTML page and a JSON file, without secrets."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local_cloud.demo.call_log import TrafficCallLog
from local_cloud.demo.flow_results import DemoResult, FlowResult
from local_cloud.demo.platform_requests import RequestMeter
from local_cloud.demo.received_notifications import ReceivedNotification
from local_cloud.demo.report_page import render_report_page
from local_cloud.demo.traffic import USER_AGENT
from local_cloud.tenant.core.profiles import Profile
from shared.domain.trigger_urls.trigger_url import redact

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    outcome: DemoResult
    account: TrafficCallLog
    meter: RequestMeter
    seconds: float
    notes: list[tuple[float, str]]
    #: When it ended, in UTC.
    ended_at: datetime
    profile: Profile = Profile.DOCUMENTED
    #: The report of the same scenario on the documented platform; empty if there is none.
    documented: Json = field(default_factory=dict)

    @property
    def has_succeeded(self) -> bool:
        return not self.outcome.failures

    def document(self) -> Json:
        """Return the report as JSON, without trigger URLs."""
        outcome, account = self.outcome, self.account
        document = {
            "succeeded": self.has_succeeded,
            "failures": outcome.failures,
            "ended_at": self.ended_at.isoformat(timespec="seconds"),
            "profile": self.profile,
            "seconds": round(self.seconds, 1),
            "waits": outcome.waits,
            "flows": [asdict(flow) for flow in outcome.flows],
            "ends": _count_ends(outcome),
            "callers_updated": dict(outcome.callers),
            "traffic": {
                "sent": len(account.calls),
                "answered": account.count_answered(),
                "lost": len(account.list_losses(USER_AGENT)),
                "runs_by_hand": dict(account.by_hand),
                "events": {name: asdict(count) for name, count in account.events.items()},
                "runs": dict(account.runs),
            },
            "firewall_gaps": outcome.gaps,
            "platform_calls_in_all": sum(calls.total() for calls in self.meter.parts.values()),
            "platform_calls": {part: dict(calls) for part, calls in self.meter.parts.items()},
            "platform_calls_per_flow": self.meter.compute_requests_per_flow(),
            "flows_measured": self.meter.flows,
            "flows_prepared": outcome.prepared,
            "flows_copied": outcome.copied,
            "deletions": outcome.deletions,
            "unknown_callers": outcome.unknown_callers,
            "messages": [asdict(one) | {"to": one.to} for one in outcome.messages],
            "recheck_at": outcome.recheck_at,
            "trace": outcome.trace,
            "notes": [{"seconds": round(at, 1), "text": text} for at, text in self.notes],
        }
        # Nothing above contains a trigger URL. If that changes, it is redacted here.
        cleaned: Json = json.loads(redact(json.dumps(document, ensure_ascii=False)))
        return cleaned


def read_documented_report(folder: Path) -> Json:
    """Read the report of an earlier demo. Returns an empty document if it cannot be read."""
    try:
        found: Json = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def write_reports(report: Report, folder: Path) -> None:
    document = report.document()
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render_report_page(document), encoding="utf-8")


def print_summary(console: Console, report: Report) -> None:
    document = report.document()
    ends = Table("Category", "Result", "Flows", title="Results of the flows")
    for line in document["ends"]:
        ends.add_row(line["category"].replace("_", " "), line["end"], str(line["flows"]))
    console.print(ends)
    facts = Table.grid(padding=(0, 2))
    traffic = document["traffic"]
    facts.add_row("Traffic", f"{traffic['sent']} sent, {traffic['answered']} answered, "
                  f"{traffic['lost']} lost")  # fmt: skip
    callers = report.outcome.callers.items()
    updated = ", ".join(f"{n} {kind if n == 1 else kind + 's'}" for kind, n in callers)
    facts.add_row("Callers updated", updated)
    for gap in document["firewall_gaps"]:
        state = "blocks flows" if gap["stands"] else "blocks no flow"
        facts.add_row("Firewall issue", f"{gap['firewall_name']}: {state}")
    facts.add_row("Flows prepared", f"{document['flows_prepared']} before the key, without a copy")
    facts.add_row("Originals deleted", _format_deletions(report.outcome.deletions))
    for one in document["unknown_callers"]:
        facts.add_row("Unknown caller", f"of {one['flow']}: claims to be {one['claims']}")
    facts.add_row("Notifications", _format_notifications(report.outcome.messages))
    facts.add_row("Next key check", document["recheck_at"] or "not scheduled")
    facts.add_row("Platform calls", _format_requests_per_flow(report.meter))
    facts.add_row(*_format_cost(document, report.documented))
    console.print(facts)
    for failure in document["failures"]:
        console.print(f"✗ {failure}", style="red", soft_wrap=True)
    if report.has_succeeded:
        console.print("✓ No call was lost, and each flow ended as expected.", style="green")


def _count_ends(outcome: DemoResult) -> list[Json]:
    counted = Counter(
        (flow.category or "moved by the platform", _format_end(flow)) for flow in outcome.flows
    )
    return [
        {"category": category, "end": end, "flows": number}
        for (category, end), number in sorted(counted.items())
    ]


def _format_end(flow: FlowResult) -> str:
    return f"{flow.state.replace('_', ' ')} {flow.code}".strip()


def _format_deletions(deletions: Sequence[Json]) -> str:
    deleted = [one for one in deletions if one["state"] == "deleted"]
    runs = sum(one["runs"] for one in deleted)
    text = f"{len(deleted)}, run summaries archived ({runs})"
    kept = sum(one["state"] == "cancelled" for one in deletions)
    return f"{text}; {kept} kept" if kept else text


def _format_notifications(tries: Sequence[ReceivedNotification]) -> str:
    arrived = sum(not one.why and not one.is_repeated for one in tries)
    twice, refused = sum(one.is_repeated for one in tries), sum(bool(one.why) for one in tries)
    return f"{arrived} received; {refused} rejected and sent again, {twice} received twice"


#: The costs of a platform for the app: member of the report, and unit.
_COSTS = (("waits", "waits"), ("platform_calls_in_all", "platform calls"), ("seconds", "s"))


def _format_cost(document: Json, documented: Json) -> tuple[str, str]:
    text = ", ".join(f"{document[name]} {unit}" for name, unit in _COSTS)
    title = f"Platform as {document['profile']}"
    if document["profile"] == Profile.DOCUMENTED:
        return title, text
    if len(documented.get("flows", ())) != len(document["flows"]):
        return title, f"{text} (play the demo with PROFILE=documented to compare)"
    before = ", ".join(f"{documented[name]} {unit}" for name, unit in _COSTS)
    return title, f"{text} (as documented: {before})"


def _format_requests_per_flow(meter: RequestMeter) -> str:
    per_flow = meter.compute_requests_per_flow()
    return (
        f"{sum(per_flow.values()):.0f} for each flow, from the approved plan to its end "
        f"({meter.flows} flows of Operations)"
    )
