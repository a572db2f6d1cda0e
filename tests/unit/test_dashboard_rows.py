from functions.dashboard.flow_steps import FlowSteps, shorten_text
from functions.dashboard.table_rows import FlowTableRow, render_flow_rows

HOSTILE = "<i>&\"'"
ESCAPED = "&lt;i&gt;&amp;&quot;&#x27;"
NAMES = ("Copied", "Verified", "Callers updated", "No calls", "Retired")


def build_line(identity: str, title: str, **texts: str) -> FlowTableRow:
    found = FlowTableRow(
        identity, title, "", "work", "", FlowSteps(NAMES, 0, is_stopped=False),
        "Copying", "", "", "", "",
    )  # fmt: skip
    return found._replace(**texts)  # type: ignore[arg-type]  # by name


def test_every_text_in_a_line_is_escaped() -> None:
    """Titles and reasons come from the tenant and may contain HTML."""
    steps = FlowSteps((HOSTILE,), 0, is_stopped=True)
    row = FlowTableRow(
        HOSTILE, HOSTILE, HOSTILE, "person", HOSTILE, steps,
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE,
    )  # fmt: skip

    found = render_flow_rows([row, row._replace(steps=None)], HOSTILE)

    assert HOSTILE not in found
    assert "<i>" not in found
    assert found.count(ESCAPED) == 20


def test_flows_with_the_same_state_have_separate_lines() -> None:
    lines = [
        build_line("1", "Orders"),
        build_line("2", "Bills", where="Sales"),
        build_line("3", "Offers", reason="It waits.", next_step="Next check 10:40 UTC"),
    ]

    first, second, third = render_flow_rows(lines, "/r").splitlines()

    assert first.startswith('<li data-part><b><a href="/r/flows/1">Orders</a></b>')
    assert "0 of 5 steps done, next: Copied" in first
    assert second.startswith(
        '<li data-part><b><a href="/r/flows/2">Bills</a><span class="sub">Sales</span>'
    )
    assert "<div>It waits.</div>" in third
    assert "Next check 10:40 UTC" in third
    assert "It waits." not in first + second


def test_step_boxes_show_completed_steps_and_the_stopped_step() -> None:
    stopped = build_line("1", "Orders")._replace(steps=FlowSteps(NAMES, 3, is_stopped=True))
    done = build_line("1", "Orders")._replace(steps=FlowSteps(NAMES, 5, is_stopped=False))

    first, second = render_flow_rows([stopped, done], "/r").splitlines()

    assert "3 of 5 steps done, stopped before: No calls" in first
    assert (first.count('"done"'), first.count('"stop"'), first.count("<i></i>")) == (3, 1, 1)
    assert "All 5 steps done" in second
    assert second.count('"done"') == 5


def test_a_reason_of_more_than_twelve_words_is_shortened() -> None:
    twelve = "one two three four five six seven eight nine ten eleven twelve"

    assert shorten_text(twelve) == twelve
    assert shorten_text(f"The owner has left. {twelve}") == "The owner has left."
    assert shorten_text(f"{twelve}, thirteen") == f"{twelve}…"
