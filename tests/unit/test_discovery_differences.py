"""Test that differences between the sources of a discovery are named, grouped and limited."""

from shared.domain.flow import FlowListEntry, FlowState, WorkflowSummary
from shared.domain.plans.discovery_differences import (
    MAX_NAMED_FLOWS,
    FlowServiceListing,
    find_differences,
)

ON, OFF = FlowState.ON, FlowState.OFF


def row(workflow_id: str, name: str = "", state: FlowState = ON) -> WorkflowSummary:
    """Return a row of Dataverse."""
    return WorkflowSummary(workflow_id=workflow_id, name=name or workflow_id, state=state)


def line(
    workflow_id: str | None,
    *,
    flow_name: str = "",
    title: str = "",
    state: FlowState | None = ON,
) -> FlowListEntry:
    """Return a line of the flow service."""
    return FlowListEntry(
        flow_name=flow_name or workflow_id or "",
        display_name=title or workflow_id or flow_name,
        workflow_id=workflow_id,
        state=state,
    )


def by_id[T: (WorkflowSummary, FlowListEntry)](*flows: T) -> dict[str, T]:
    """Return flows by their id in Dataverse."""
    return {
        flow.workflow_id or (flow.flow_name if isinstance(flow, FlowListEntry) else ""): flow
        for flow in flows
    }


def test_sources_that_agree_yield_nothing() -> None:
    """The full list does not matter."""
    known, lines = by_id(row("a"), row("b")), by_id(line("a"))

    assert find_differences(known, FlowServiceListing(reported=lines)) == ()
    everything = by_id(line("a"), line("b"))
    assert find_differences(known, FlowServiceListing(reported=lines, everything=everything)) == ()


def test_a_report_is_compared_with_dataverse_without_the_full_list() -> None:
    """Missing flows, unknown ids, other states and other titles are found."""
    known = by_id(row("off", state=OFF), row("renamed", "New"))
    reported = by_id(
        line("gone"), line("strange"), line("off"), line("renamed", title="Old"), line("mute")
    )
    known |= by_id(row("mute", state=OFF))
    reported["mute"] = line("mute", state=None)

    found = find_differences(known, FlowServiceListing(reported=reported, alone={"strange"}))

    assert len(found) == 4
    assert found[0].startswith("1 flow is listed on Microsoft's key, but in no source")
    assert "gone (flow gone)" in found[0]
    assert "strange" in found[1]
    assert "off (flow off: off, on)" in found[2]
    assert "Old (flow renamed: New)" in found[3]


def test_the_full_list_names_what_one_source_lacks() -> None:
    """The list finds flows in one source only, other states, other titles, and second ids."""
    known = by_id(row("a"), row("dataverse-only"), row("two-ids"), row("off", state=OFF))
    reported = by_id(line("a"), line("report-only"))
    everything = by_id(
        line("a"),
        line("service-only"),
        line("two-ids", flow_name="other-name"),
        line("off"),
    )

    found = find_differences(
        known, FlowServiceListing(reported=reported, alone={"report-only"}, everything=everything)
    )

    told = "\n".join(found)
    assert "in the flow service, but not in Dataverse: service-only" in told
    assert "in Dataverse, but not in the flow service: dataverse-only (workflow" in told
    assert "not in the flow service's list of all flows: report-only" in told
    assert "off (flow off: off, on)" in told
    assert "two-ids (flow other-name, workflow two-ids)" in told


def test_a_flow_outside_solutions_is_found_by_its_flow_name() -> None:
    """The flow service does not name the row, whose id is the flow's name."""
    known = by_id(row("mine"))
    lines = {"mine": line(None, flow_name="mine")}

    assert find_differences(known, FlowServiceListing(reported=lines, everything=lines)) == ()


def test_ten_thousand_differences_are_one_sentence() -> None:
    """A few are named and the others counted, because the job's row has a limit."""
    known = by_id(*(row(f"flow-{number}") for number in range(10_000)))

    (text,) = find_differences(known, FlowServiceListing(reported={}, everything={}))

    assert text.startswith("10000 flows are in Dataverse, but not in the flow service")
    assert text.endswith(f" and {10_000 - MAX_NAMED_FLOWS} more.")
    assert len(text) < 2_000
