from dataclasses import replace
from typing import Any

import pytest

from local_cloud.collector import ReceivedSpan
from local_cloud.demo.flow_trace import build_flow_trace

TITLES = {"f-1": "Orders", "f-2": "Invoices"}


def build_span(
    name: str, began: float, ended: float, parent: str = "", **more: Any
) -> ReceivedSpan:
    values: dict[str, Any] = {
        "kind": "internal",
        "trace_id": "t",
        "links": (),
        "has_failed": False,
        "message": "",
        "attributes": {},
    }
    identity = more.pop("span_id", name)
    return ReceivedSpan(
        name=name, span_id=identity, parent_id=parent, began=began, ended=ended, **(values | more)
    )


def build_trace(flow: str = "f-1", steps: int = 2) -> list[ReceivedSpan]:
    job = build_span("flow job", 60, 60 + steps, "event", attributes={"cmk.flow": flow})
    spans = [build_span("event", 0, 1), job]
    spans += [build_span(f"step {n}", 60 + n, 61 + n, "flow job") for n in range(steps)]
    calls = [
        build_span(
            "GET /providers/Microsoft.Web/sites",
            60 + n / 4,
            60 + n / 4 + 0.25,
            "step 0",
            span_id=f"call {n}",
            kind="client",
            attributes={"http.response.status_code": 200},
        )
        for n in range(3)
    ]
    return [*spans, *calls]


def test_rows_are_a_tree_with_equal_requests_joined() -> None:
    trace = build_flow_trace(build_trace()[::-1], TITLES)

    rows: Any = trace["rows"]
    assert (trace["title"], trace["trace_id"], trace["seconds"]) == ("Orders", "t", 62.0)
    assert [(row["depth"], row["name"], row["count"], row["result"]) for row in rows] == [
        (0, "event", 1, ""),
        (1, "flow job", 1, ""),
        (2, "step 0", 1, ""),
        (3, "GET …/sites", 3, "200"),
        (2, "step 1", 1, ""),
    ]
    assert rows[3]["milliseconds"] == 750
    assert rows[1]["start"] == pytest.approx(100 * 1.2 / 3.2, abs=0.01)
    assert rows[-1]["start"] + rows[-1]["width"] == pytest.approx(100, abs=0.02)


def test_flow_with_the_most_steps_is_chosen() -> None:
    fewer = [one for one in build_trace("f-2", steps=1) if one.name != "event"]
    others = [
        replace(
            one,
            span_id=f"{one.span_id} of f-2",
            parent_id=one.parent_id if one.parent_id == "event" else f"{one.parent_id} of f-2",
        )
        for one in fewer
    ]

    assert build_flow_trace([*build_trace(), *others], TITLES)["title"] == "Orders"
    assert build_flow_trace([*build_trace(), *others], {"f-2": "Invoices"})["title"] == "Invoices"
    assert build_flow_trace(build_trace(), {}) == {}
    assert build_flow_trace([], TITLES) == {}
