"""Says at the end what became of everything: a summary, an HTML page, a JSON file. No secrets."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from rich.console import Console
from rich.table import Table

from local_cloud.demo.account import Account
from local_cloud.demo.outcome import Outcome
from local_cloud.demo.traffic import USER_AGENT
from shared.domain.trigger_url import redact

type Json = dict[str, Any]

_TEMPLATE = "report.html.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to."""

    outcome: Outcome
    account: Account
    seconds: float
    notes: list[tuple[float, str]]

    @property
    def has_succeeded(self) -> bool:
        """True if no call was lost and each flow ended as it had to."""
        return not self.outcome.failures

    def document(self) -> Json:
        """The report as JSON."""
        outcome, account = self.outcome, self.account
        document = {
            "succeeded": self.has_succeeded,
            "failures": outcome.failures,
            "seconds": round(self.seconds, 1),
            "flows": [asdict(flow) for flow in outcome.flows],
            "ends": _ends(outcome),
            "callers_updated": dict(outcome.callers),
            "traffic": {
                "sent": len(account.calls),
                "answered": account.answered(),
                "lost": len(account.losses(USER_AGENT)),
                "runs_by_hand": dict(account.by_hand),
                "events": {name: asdict(count) for name, count in account.events.items()},
                "runs": dict(account.runs),
            },
            "firewall_gaps": outcome.gaps,
            "platform_calls": dict(outcome.platform_calls),
            "platform_calls_per_flow": _per_flow(outcome),
            "flow_jobs": outcome.jobs,
            "recheck_at": outcome.recheck_at,
            "notes": [{"seconds": round(at, 1), "text": text} for at, text in self.notes],
        }
        # Nothing above holds a trigger URL; should that change, it ends here.
        cleaned: Json = json.loads(redact(json.dumps(document, ensure_ascii=False)))
        return cleaned


def write_reports(report: Report, folder: Path) -> None:
    """Write `report.json` and `report.html`."""
    document = report.document()
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    page = templates.get_template(_TEMPLATE).render(report=document)
    (folder / "report.html").write_text(page, encoding="utf-8")


def print_summary(console: Console, report: Report) -> None:
    """Print what became of everything."""
    document = report.document()
    ends = Table("Category", "End", "Flows", title="What became of the flows")
    for line in document["ends"]:
        ends.add_row(line["category"], line["end"], str(line["flows"]))
    console.print(ends)
    facts = Table.grid(padding=(0, 2))
    traffic = document["traffic"]
    facts.add_row("Traffic", f"{traffic['sent']} sent, {traffic['answered']} answered, "
                  f"{traffic['lost']} lost")  # fmt: skip
    updated = ", ".join(f"{number} {kind}" for kind, number in report.outcome.callers.items())
    facts.add_row("Callers updated", updated)
    for gap in document["firewall_gaps"]:
        state = "still stands" if gap["stands"] else "settled"
        facts.add_row("Firewall gap", f"{gap['firewall']}: {state}")
    facts.add_row("Re-check", document["recheck_at"] or "not scheduled")
    calls = document["platform_calls_per_flow"]
    facts.add_row("Platform calls", f"{calls} for each of {document['flow_jobs']} flows")
    facts.add_row("Time", f"{document['seconds']} s")
    console.print(facts)
    for failure in document["failures"]:
        console.print(f"✗ {failure}", style="red", markup=False, soft_wrap=True)
    if report.has_succeeded:
        console.print("✓ No call was lost, and each flow ended as it had to.", style="green")


def _ends(outcome: Outcome) -> list[Json]:
    counted = Counter(
        (flow.category or "moves by itself", f"{flow.state} {flow.code}".strip())
        for flow in outcome.flows
    )
    return [
        {"category": category, "end": end, "flows": number}
        for (category, end), number in sorted(counted.items())
    ]


def _per_flow(outcome: Outcome) -> float:
    return round(outcome.platform_calls.total() / max(outcome.jobs, 1), 1)
