from typing import Any

from cmkflow.paragraphs import Paragraph
from cmkflow.plan_details import format_plan_details


def build_issue(name: str, *flows: str, count: int) -> dict[str, Any]:
    return {
        "name": f"nsg:{name}",
        "firewall_name": name,
        "workflow_ids": list(flows),
        "flow_count": count,
        "fix": "Allow it.",
        "fix_by_app": "",
    }


def test_only_firewalls_that_may_block_a_shown_flow_are_listed() -> None:
    """An issue names only some of its flows, so a shown flow may be among the others."""
    item = {
        "workflow_id": "a",
        "display_name": "Orders",
        "action": "copy",
        "message": "",
        "fix": "",
        "conversion_preview": "",
        "url_secret_use": None,
        "unknown_readers": "",
        **dict.fromkeys(
            ("callers", "changed_since_approval", "notes", "planned_changes", "unknowns"), ()
        ),
    }
    issues = [
        build_issue("its-own", "a", "b", count=2),
        build_issue("of-another", "b", count=1),
        build_issue("of-many", "b", count=60),
    ]
    plan = {
        "awaiting_flow_ids": [],
        "environment_job": {"firewall_issues": issues},
        "trigger_hosts": [],
        "external_hosts": [],
    }

    shown = [one.text for one in format_plan_details(plan, [item]) if isinstance(one, Paragraph)]

    assert [one for one in shown if one.startswith("Firewall ")] == [
        "Firewall its-own blocks 2 flows: nsg:its-own",
        "Firewall of-many blocks 60 flows: nsg:of-many",
    ]
