"""The history of a remediation: no entry is missing, and each says how long it lasted."""

import re
from dataclasses import replace
from datetime import timedelta

from functions.dashboard.remediation_history import (
    ENTRIES_ON_PAGE,
    HistoryFilter,
    HistoryPage,
    history_page,
)
from shared.domain.jobs.durable_job import HISTORY_LENGTH, HistoryEntry
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.show_flow import FlowView
from tests.unit.remediation_rows import NOW, blocked, environment, flow, page_of, remediation_of

NAMES = {"env-1": "Env-1"}


def entry(second: int, state: str = "copying", message: str = "") -> HistoryEntry:
    """An entry at this second."""
    return HistoryEntry(changed_at=NOW + timedelta(seconds=second), state=state, message=message)


def many(number: int) -> list[FlowView]:
    """Flows with three entries each, which alternate with those of the others."""
    return [
        flow(
            f"Flow {one}",
            FlowJobState.COPIED,
            history=tuple(entry(step * number + one, message=f"{one}.{step}") for step in range(3)),
        )
        for one in range(number)
    ]


def shown(flows: list[FlowView], kind: str = "all", start: int = 0) -> HistoryPage:
    """Return a page of the history."""
    return history_page(remediation_of(flows), NAMES, HistoryFilter(kind=kind, start=start))


def test_every_entry_is_on_one_page_newest_first() -> None:
    """However many flows there are."""
    flows, found = many(50), []
    for start in range(0, 150, ENTRIES_ON_PAGE):
        page = shown(flows, start=start)
        assert page.total == 150
        found += [line.entry.message for line in page.lines]

    assert found == [f"{one}.{step}" for step in (2, 1, 0) for one in reversed(range(50))]


def test_an_entry_has_the_duration_until_the_next_one_of_its_job() -> None:
    """The latest has none, nor has one that did not last a second."""
    history = (entry(0), entry(36), entry(36, "copied"), entry(7236, "verified"))
    page = shown([flow("a", FlowJobState.VERIFIED, history=history)])

    assert [line.lasted for line in page.lines] == [
        None,
        timedelta(hours=2),
        None,
        timedelta(seconds=36),
    ]


def test_filters_select_entries_of_all_jobs() -> None:
    """What asks for a person, what is done, and what concerns whole environments."""
    where = environment(history=(entry(0, "discovering"), entry(9, "completed")))
    flows = [
        blocked("a", where=where, history=(entry(1), entry(2, "blocked", "Its owner has left."))),
        flow("b", FlowJobState.RETIRED, where=where, history=(entry(3), entry(4, "retired"))),
    ]

    def titles(kind: str) -> list[str]:
        return [f"{line.title} {line.entry.state}" for line in shown(flows, kind).lines]

    assert titles("person") == ["a blocked"]
    assert titles("done") == ["b retired"]
    assert titles("environment") == ["Env-1 completed", "Env-1 discovering"]
    assert len(titles("all")) == shown(flows).total == 6


def test_an_environment_is_not_shown_as_done_while_flows_are_blocked() -> None:
    """Its job is completed as soon as no flow continues."""
    where = environment(history=(entry(9, "completed"),))
    [line, _] = shown([blocked("a", where=where)]).lines

    assert line.entry.state == "completed"
    assert line.look == "over"


def test_the_page_shows_seconds_and_leads_to_older_entries() -> None:
    """And says if rows no longer have the first ones."""
    flows = many(50)
    full = flow("a", FlowJobState.COPIED, history=tuple(map(entry, range(HISTORY_LENGTH))))
    page = page_of(flows)
    older = page_of(flows, history=HistoryFilter(start=120))

    assert ">2026-03-10 09:02:29</time>" in page
    assert "1 to 40 of 150" in page
    assert re.search(r"history=all&amp;history_start=40#timeline\">Older", page)
    assert "121 to 150 of 150" in older
    assert "Older</a>" not in older
    assert "keeps the last" not in page
    assert f"The app keeps the last {HISTORY_LENGTH} entries" in page_of([*flows, full])


def test_an_entry_of_an_unknown_state_is_shown() -> None:
    """A newer version of the app may have written it."""
    job = flow("a", FlowJobState.COPIED, history=(entry(1, "levitating"),))
    other = replace(job, item=None)

    assert "levitating" in page_of([other])
