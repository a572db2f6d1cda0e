import re
from dataclasses import replace
from datetime import timedelta

from functions.dashboard.remediation_history import (
    ENTRIES_ON_PAGE,
    HistoryFilter,
    HistoryPage,
    select_history_page,
)
from shared.domain.jobs.durable_job import HISTORY_LENGTH, HistoryEntry
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.show_flow import FlowView
from tests.unit.remediation_rows import (
    NOW,
    build_blocked_flow,
    build_environment_job,
    build_flow,
    build_page,
    build_remediation,
)

NAMES = {"env-1": "Env-1"}


def build_entry(second: int, state: str = "copying", message: str = "") -> HistoryEntry:
    return HistoryEntry(changed_at=NOW + timedelta(seconds=second), state=state, message=message)


def build_flows(number: int) -> list[FlowView]:
    return [
        build_flow(
            f"Flow {one}",
            FlowJobState.COPIED,
            history=tuple(
                build_entry(step * number + one, message=f"{one}.{step}") for step in range(3)
            ),
        )
        for one in range(number)
    ]


def build_history_page(flows: list[FlowView], kind: str = "all", start: int = 0) -> HistoryPage:
    return select_history_page(
        build_remediation(flows), NAMES, HistoryFilter(kind=kind, start=start)
    )


def test_every_entry_is_on_one_page_newest_first() -> None:
    flows, found = build_flows(50), []
    for start in range(0, 150, ENTRIES_ON_PAGE):
        page = build_history_page(flows, start=start)
        assert page.total == 150
        found += [line.entry.message for line in page.lines]

    assert found == [f"{one}.{step}" for step in (2, 1, 0) for one in reversed(range(50))]


def test_an_entry_has_the_duration_until_the_next_one_of_its_job() -> None:
    history = (
        build_entry(0),
        build_entry(36),
        build_entry(36, "copied"),
        build_entry(7236, "verified"),
    )
    page = build_history_page([build_flow("a", FlowJobState.VERIFIED, history=history)])

    assert [line.duration for line in page.lines] == [
        None,
        timedelta(hours=2),
        None,
        timedelta(seconds=36),
    ]


def test_filters_select_entries_of_all_jobs() -> None:
    where = build_environment_job(
        history=(build_entry(0, "discovering"), build_entry(9, "completed"))
    )
    flows = [
        build_blocked_flow(
            "a",
            where=where,
            history=(build_entry(1), build_entry(2, "blocked", "Its owner has left.")),
        ),
        build_flow(
            "b",
            FlowJobState.RETIRED,
            where=where,
            history=(build_entry(3), build_entry(4, "retired")),
        ),
    ]

    def list_titles(kind: str) -> list[str]:
        return [
            f"{line.title} {line.entry.state}" for line in build_history_page(flows, kind).lines
        ]

    assert list_titles("person") == ["a blocked"]
    assert list_titles("done") == ["b retired"]
    assert list_titles("environment") == ["Env-1 completed", "Env-1 discovering"]
    assert len(list_titles("all")) == build_history_page(flows).total == 6


def test_an_environment_is_not_shown_as_done_while_flows_are_blocked() -> None:
    """An environment job completes when no flow job can continue, so flows may still be blocked."""
    where = build_environment_job(history=(build_entry(9, "completed"),))
    [line, _] = build_history_page([build_blocked_flow("a", where=where)]).lines

    assert line.entry.state == "completed"
    assert line.look == "over"


def test_the_page_shows_seconds_and_leads_to_older_entries() -> None:
    flows = build_flows(50)
    full = build_flow(
        "a", FlowJobState.COPIED, history=tuple(map(build_entry, range(HISTORY_LENGTH)))
    )
    page = build_page(flows)
    older = build_page(flows, history=HistoryFilter(start=120))

    assert ">2026-03-10 09:02:29</time>" in page
    assert "1 to 40 of 150" in page
    assert re.search(r"history=all&amp;history_start=40#timeline\">Older", page)
    assert "121 to 150 of 150" in older
    assert "Older</a>" not in older
    assert "keeps the last" not in page
    assert f"The app keeps the last {HISTORY_LENGTH} entries" in build_page([*flows, full])


def test_equal_entries_of_flows_in_one_minute_are_one_line() -> None:
    retired = "The original is off."
    flows = [
        build_flow(
            f"Flow {one}",
            FlowJobState.RETIRED,
            history=(
                build_entry(one, "retired", retired),
                build_entry(20 + one, "retired", retired if one == 0 else f"Flow {one} is off."),
                build_entry(90 + one, "retired", retired),
            ),
        )
        for one in range(3)
    ]
    page = build_history_page(flows)
    lines = [(len(group.lines), group.lines[0].entry.message) for group in page.groups]

    assert page.total == 9
    assert lines == [
        (3, retired),
        (1, "Flow 2 is off."),
        (1, "Flow 1 is off."),
        (3, retired),
        (1, retired),
    ]
    assert "<b>3 flows</b> retired: The original is off." in build_page(flows)


def test_a_duration_that_the_message_says_is_shown_once() -> None:
    history = (
        build_entry(0, "waiting", "The original must receive no calls for 7 days."),
        build_entry(7 * 86400, "waiting", "The list is not read yet."),
        build_entry(7 * 86400 + 300, "retired"),
    )
    page = build_history_page([build_flow("a", FlowJobState.RETIRED, history=history)])

    assert [group.duration for group in page.groups] == [None, timedelta(minutes=5), None]


def test_an_entry_of_an_unknown_state_is_shown() -> None:
    """A newer version of the app may have stored the entry."""
    job = build_flow("a", FlowJobState.COPIED, history=(build_entry(1, "levitating"),))
    other = replace(job, item=None)

    assert "levitating" in build_page([other])
