import asyncio
import re
from collections.abc import Mapping
from html import unescape

import pytest

from tests.functional.scenarios.dashboard_stages import visit_stages

type Pages = Mapping[str, str]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return asyncio.run(_collect_texts())


async def _collect_texts() -> dict[str, str]:
    return {
        page.name: _strip_markup(page.text) async for shown in visit_stages(30) for page in shown
    }


def _strip_markup(page: str) -> str:
    body = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def test_assessment_asks_to_change_a_flow_that_is_never_copied(pages: Pages) -> None:
    page = pages["assessment-after_key"]

    assert "Change 1 flow List flows each day" in page
    assert "1 needs changes" in page
    assert "it copies" not in page
    assert "Answer the old app (original)" in page
    assert "1 of 59 cloud flows stays" in page
    assert "1 canvas app calls flows" in page


def test_network_page_says_when_firewalls_were_reported_and_last_read(pages: Pages) -> None:
    page = pages["network-blocked"]

    assert "all firewalls last read 9 days ago, 2026-03-02 09:31 UTC" in page
    assert page.count("reported 9 days ago, 2026-03-02 09:00 UTC") == 2


def test_settings_page_counts_notes_and_changed_settings_apart(pages: Pages) -> None:
    page = pages["settings-awaiting"]

    assert "5 points to check The notes below say what to check." in page
    assert re.search(r"3 of \d+ settings differ from the default\.", page)


def test_remediation_page_links_once_to_the_plan_of_one_environment(pages: Pages) -> None:
    page = pages["remediation-awaiting"]

    assert page.count("Review the plan") == 1
    assert page.count("The app makes no change before") == 0


def test_environment_without_a_plan_has_no_known_flows(pages: Pages) -> None:
    """An empty cell would look like no flows."""
    assert pages["environments-new"].count("not known yet") == 3


def test_overview_of_a_migrated_tenant_names_the_last_daily_check(pages: Pages) -> None:
    assert "Last daily check 2026-05-01" in pages["status-migrated"]


def test_history_says_who_started_and_how_long_each_state_lasted(pages: Pages) -> None:
    head = pages["remediation-awaiting"].partition("History")[2]
    flow = pages["flow-done"].partition("History")[2]

    assert "Started by a change of a policy." in head
    assert "policy_event" not in head
    assert "No known caller calls the original." in flow
    assert "7 days. · lasted 7 days" in flow
    assert not re.search(r"\b0 s\b|0 callers|0 seconds", flow)
    assert "0 entries" not in pages["flow-awaiting"]


def test_plan_and_evidence_count_the_same_callers(pages: Pages) -> None:
    plan, evidence = pages["plan-awaiting"], pages["evidence"]

    assert "3 known callers are flows of this plan: their copies call the copies" in plan
    assert "1 flow is not included: it needs changes first." in plan
    rows = re.findall(r"2026-03-\d\d [\d:]{8} (\d+)(?:, \d+ by a person)? off, 2026", evidence)
    assert f"Callers updated by the app {sum(map(int, rows))} 0" in evidence
    assert "2 March 2026 to 20 April 2026" in evidence
    assert "1 needs changes first" in evidence


def test_sentences_about_one_flow_have_a_singular_verb(pages: Pages) -> None:
    wrong = re.compile(
        r"\b1 (?:flow|firewall|caller|copy)(?: in \w+)? (?:continue|need|are|have)\b"
    )

    assert {name: found[0] for name, text in pages.items() if (found := wrong.search(text))} == {}


def test_rollback_names_scheduled_deletions_only_of_retired_originals(pages: Pages) -> None:
    """Only a retired original can have a scheduled deletion."""
    text = "Scheduled deletions of these originals are cancelled."

    assert text in pages["flow-done"]
    assert text not in pages["flow-blocked"]
