import re
from html import unescape
from typing import Any

import pytest

from cmkflow.assessment_page import build_assessment_page
from tests.functional.cli.test_cli_assess import FLOW, RETIRED


def build_unread_assessment(**more: Any) -> dict[str, Any]:
    estimate = {
        "copies": 0,
        "callers": 0,
        "manual_callers": 0,
        "url_holder_count": 0,
        "requests": 0,
        "minutes": 0,
        "no_call_days": 0,
        "share_of_daily_pool": 0.0,
        "unknown_reason": "Not all flows could be read, so the effort may be higher.",
    }
    return {
        "environment_id": "e",
        "display_name": "Silent",
        "assessed_at": "2026-03-02T09:00:00Z",
        "phase": "before_key",
        "flow_count": None,
        "flows": [],
        "sections": [],
        "estimate": estimate,
        "callers_searched_at": None,
    } | more


def test_page_of_an_unread_environment_shows_no_zero() -> None:
    page = build_assessment_page([build_unread_assessment(phase="unknown")])

    assert "could not be read" in page
    assert "<dt>Work</dt><dd>unknown</dd>" in page
    assert "No flow needs a copy" not in page


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ({"eligibility": ["ok"], "key": ["ok", "warning"]}, "Yes."),
        (
            {"eligibility": ["ok"], "key": ["ok"], "network": ["problem", "problem"]},
            "Yes, but 2 problems must be fixed.",
        ),
        (
            {"eligibility": ["ok"], "key": ["problem", "unknown"]},
            "No. Fix 1 problem of the environment or the key first.",
        ),
        (
            {"eligibility": ["problem", "problem"], "key": ["ok"]},
            "No. Fix 2 problems of the environment or the key first.",
        ),
        ({"eligibility": ["unknown"], "key": ["ok"]}, "Unknown: the platform"),
        ({}, "Unknown: the platform"),
    ],
)
def test_page_begins_with_the_answer_whether_the_key_can_be_applied(
    found: dict[str, list[str]], answer: str
) -> None:
    sections = [
        {
            "topic": topic,
            "findings": [{"level": level, "message": "t", "fix": ""} for level in levels],
        }
        for topic, levels in found.items()
    ]

    page = build_assessment_page([build_unread_assessment(sections=sections, flow_count=3)])

    assert find_answer(page).startswith(answer)


def find_answer(page: str) -> str:
    said = re.search(
        r"<h1>(?:Can the key be applied to|Is every flow of) [^<]+</h1>"
        r".*?<h2>.*?<span>([^<]+)</span></h2>\s*<p>([^<]*)",
        page,
        re.DOTALL,
    )
    assert said is not None
    return unescape(f"{said[1]} {said[2]}")


def build_finding(level: str, code: str = "code", subject: str = "", message: str = "t") -> Any:
    return {"level": level, "code": code, "subject": subject, "message": message, "fix": "Do it."}


def build_section(topic: str, *findings: Any) -> dict[str, Any]:
    return {"topic": topic, "findings": list(findings)}


READY = (
    build_section("eligibility", build_finding("ok")),
    build_section("key", build_finding("ok")),
)


def test_answer_counts_flows_firewalls_and_problems() -> None:
    network = build_section(
        "network",
        *(build_finding("problem", "firewall", f"nsg-{number}") for number in range(4)),
        build_finding("unknown", "firewall", "afw"),
        build_finding("problem"),
        build_finding("unknown"),
    )
    flows = [FLOW | {"stays_on_microsoft_key": True}] * 32 + [
        FLOW | {"stays_on_microsoft_key": None}
    ]

    before = build_assessment_page(
        [build_unread_assessment(sections=[*READY, network], flows=flows, flow_count=41)]
    )
    after = build_assessment_page(
        [build_unread_assessment(phase="after_key", sections=[], flows=flows[:1], flow_count=41)]
    )

    assert find_answer(before).startswith(
        "Yes, but 32 flows stay on Microsoft's key, 4 firewalls deny the new addresses and 1 more "
        "problem must be fixed. Not sure: 1 flow may stay on Microsoft's key, 1 firewall may deny "
        "the new addresses and 1 fact is unknown."
    )
    assert find_answer(after).startswith("The key is applied, but 1 flow stays on Microsoft's key.")


@pytest.mark.parametrize(
    ("flows", "findings", "answer"),
    [
        (
            [RETIRED] * 29,
            [],
            "Yes: no flow needs a remediation; 29 retired originals remain on Microsoft's key. ",
        ),
        (
            [RETIRED],
            [build_finding("unknown")],
            (
                "Yes: no flow needs a remediation; 1 retired original remains on Microsoft's key. "
                "Not sure: 1 fact is unknown."
            ),
        ),
        (
            [RETIRED],
            [build_finding("problem", "firewall", "nsg")],
            (
                "The key is applied, but 1 firewall denies the new addresses; no flow needs a "
                "remediation; 1 retired original remains on Microsoft's key."
            ),
        ),
        (
            [
                RETIRED,
                RETIRED | {"remediation_status": "deletion_scheduled"},
                RETIRED | {"remediation_status": "in_progress"},
                RETIRED | {"remediation_status": "action_required"},
                RETIRED | {"remediation_status": "unknown"},
            ],
            [build_finding("problem", "flows_in_remediation"), build_finding("problem")],
            (
                "The key is applied, but 1 flow stays on Microsoft's key, 1 flow needs an action "
                "in a remediation, 1 flow is in progress in a remediation and 1 more problem must "
                "be fixed; 2 retired originals remain on Microsoft's key."
            ),
        ),
    ],
)
def test_answer_counts_retired_originals_apart(
    flows: list[Any], findings: list[Any], answer: str
) -> None:
    sections = [build_section("network", *findings)] if findings else []

    page = build_assessment_page(
        [build_unread_assessment(phase="after_key", sections=sections, flows=flows, flow_count=60)]
    )

    assert find_answer(page).startswith(answer)


def test_deletion_of_retired_originals_is_the_last_and_optional_to_do() -> None:
    flows = [
        *[RETIRED] * 29,
        RETIRED | {"remediation_status": "deletion_scheduled"},
        RETIRED | {"remediation_status": "in_progress"},
        RETIRED | {"display_name": "Invoices", "remediation_status": "action_required"},
    ]

    found = build_unread_assessment(phase="after_key", flows=flows, flow_count=64)
    found["estimate"] = found["estimate"] | {"unknown_reason": ""}

    page = build_assessment_page([found])

    assert re.findall(r"<h3>(\d+\. [^<]+)</h3>", page) == [
        "1. Act on 1 flow of a remediation",
        "2. Optional: schedule the deletion of 29 retired originals",
    ]
    parts = re.findall(r'<b class="num">.*?</svg>(\d+)</b><span>([^<]+)<', page)
    assert parts == [
        ("32", "are on your key"),
        ("1", "is in progress"),
        ("1", "needs an action"),
        ("30", "are retired; their copies work"),
    ]
    assert "2 flows stay or may stay on Microsoft&#39;s key" in page
    assert "30 retired originals remain on Microsoft&#39;s key" in page
    assert "Runs a child flow on Microsoft&#39;s key: 1 flow" in page
    assert "Retired: 29 flows" in page
    assert "What the remediation will take" not in page


def test_answer_is_not_a_plain_yes_while_something_is_unknown() -> None:
    sections = [*READY, build_section("connections", build_finding("unknown"))]

    page = build_assessment_page([build_unread_assessment(sections=sections, flow_count=3)])

    assert find_answer(page).startswith("Yes, but 1 fact is unknown. ")


def test_to_dos_are_numbered_and_broken_callers_are_first() -> None:
    caller = {"kind": "app_setting", "label": "setting URL", "manual_reason": "", "is_broken": True}
    flow = FLOW | {"stays_on_microsoft_key": True, "recommendations": ["Copy it."]}
    flows = [
        flow | {"callers": [caller], "microsoft_key_reasons": ["http_trigger"]},
        flow | {"display_name": "Bought", "is_managed": True},
        flow | {"display_name": "V1", "microsoft_key_reasons": ["list_flows_as_admin_v1"]},
    ]
    firewalls = [build_finding("problem", "firewall", name) for name in ("nsg-a", "nsg-b")]
    sections = [
        *READY,
        build_section("flows", build_finding("problem", "retired_url")),
        build_section("network", *firewalls),
        build_section("canvas_apps", build_finding("problem")),
        build_section("connections", build_finding("unknown")),
    ]
    found = build_unread_assessment(sections=sections, flows=flows, flow_count=5)
    found["estimate"] = found["estimate"] | {"copies": 3, "no_call_days": 7}

    page = build_assessment_page([found])

    assert re.findall(r"<h3>(\d+\. [^<]+)</h3>", page) == [
        "1. 1 caller is broken today",
        "2. Agree on a date with the makers of 1 canvas app",
        "3. Change 1 flow before the key is applied",
        "4. Ask the publishers of 1 flow",
        "5. Allow the new addresses in 2 firewalls",
        "6. Check 1 fact yourself",
        "7. Start a remediation after the key is applied: it copies 3 flows",
    ]
    assert "nsg-a, nsg-b: until then, calls of copies are or may be blocked." in page
    parts = re.findall(r'<b class="num">.*?</svg>(\d+)</b><span>([^<]+)<', page)
    assert parts == [
        ("2", "move automatically when the key is applied"),
        ("1", "is copied after the key"),
        ("1", "is better changed now"),
        ("1", "needs its publisher"),
    ]


def test_problem_of_the_key_is_the_first_to_do() -> None:
    sections = [
        READY[0],
        build_section("key", build_finding("problem", message="The key is disabled.")),
    ]

    page = build_assessment_page([build_unread_assessment(sections=sections, flow_count=0)])

    assert "1. Fix 1 problem of the environment or the key" in page
    assert "The key is disabled. <b>Do it.</b>" in page


def test_flows_with_the_same_reason_and_recommendation_share_one_text() -> None:
    alike = FLOW | {"stays_on_microsoft_key": True, "recommendations": ["Copy it with care."]}
    flows = [alike | {"display_name": f"Flow {number}"} for number in range(12)]

    page = build_assessment_page([build_unread_assessment(flows=flows, flow_count=12)])

    assert page.count("Copy it with care.") == 1
    assert "No reason found: 12 flows" in page


def test_each_environment_has_its_answer_and_every_link_has_a_target() -> None:
    sections = [build_section("key", build_finding("problem"))]

    page = build_assessment_page(
        [
            build_unread_assessment(sections=sections),
            build_unread_assessment(phase="after_key", display_name="B"),
        ]
    )

    assert page.index("No. Fix 1 problem") < page.index("The key is applied") < page.index("<h2")
    fragments = set(re.findall(r'href="#([^"]+)"', page))
    assert {"e1", "e2"} <= fragments
    assert fragments <= set(re.findall(r'id="([^"]+)"', page))


def test_page_of_two_thousand_flows_is_one_file_with_a_folded_table() -> None:
    common = {
        "stays_on_microsoft_key": True,
        "message": "It starts from an HTTP request.",
        "run_only_users": "Unknown: the platform has no API for it.",
    }
    flows = [
        FLOW | common | {"workflow_id": f"w{number}", "display_name": f"Flow {number}"}
        for number in range(2_000)
    ]

    page = build_assessment_page([build_unread_assessment(flows=flows, flow_count=2_000)])
    few = build_assessment_page([build_unread_assessment(flows=flows[:20], flow_count=20)])

    assert page.count("It starts from an HTTP request.") == 1
    assert page.count("the platform has no API for it") == 1
    assert page.count('<th scope="row">Flow ') == 2_000
    assert "<summary>Flows <span" in page
    assert "<summary>Flows <span" not in few
    assert len(page.encode()) <= 700_000


def test_page_of_two_thousand_retired_originals_names_each_without_details() -> None:
    common = {
        "stays_on_microsoft_key": True,
        "is_on": False,
        "message": "It starts from an HTTP request.",
        "remediation_status": "retired",
        "recommendations": ["Schedule its deletion."],
    }
    flows = [
        FLOW | common | {"workflow_id": f"w{number}", "display_name": f"Flow {number}"}
        for number in range(2_000)
    ]

    page = build_assessment_page([build_unread_assessment(flows=flows, flow_count=2_000)])
    few = build_assessment_page([build_unread_assessment(flows=flows[:10], flow_count=10)])

    assert "It starts from an HTTP request." not in page
    assert page.count("<code>w") == 2_000
    assert ">off<" not in page
    assert "<summary>Originals <span" in page
    assert "<summary>Originals <span" not in few
    assert len(page.encode()) <= 300_000
