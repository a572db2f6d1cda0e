from shared.domain.flow import FlowListEntry, FlowState, WorkflowSummary
from shared.domain.plans.discovery_differences import (
    MAX_NAMED_FLOWS,
    FlowServiceListing,
    find_differences,
)

ON, OFF = FlowState.ON, FlowState.OFF


def build_row(workflow_id: str, name: str = "", state: FlowState = ON) -> WorkflowSummary:
    return WorkflowSummary(workflow_id=workflow_id, name=name or workflow_id, state=state)


def build_entry(
    workflow_id: str | None,
    *,
    flow_name: str = "",
    title: str = "",
    state: FlowState | None = ON,
) -> FlowListEntry:
    return FlowListEntry(
        flow_name=flow_name or workflow_id or "",
        display_name=title or workflow_id or flow_name,
        workflow_id=workflow_id,
        state=state,
    )


def index_by_id[T: (WorkflowSummary, FlowListEntry)](*flows: T) -> dict[str, T]:
    """Return these flows by their id in Dataverse."""
    return {
        flow.workflow_id or (flow.flow_name if isinstance(flow, FlowListEntry) else ""): flow
        for flow in flows
    }


def test_equal_sources_yield_no_differences() -> None:
    known, lines = index_by_id(build_row("a"), build_row("b")), index_by_id(build_entry("a"))

    assert find_differences(known, FlowServiceListing(reported=lines)) == ()
    everything = index_by_id(build_entry("a"), build_entry("b"))
    assert find_differences(known, FlowServiceListing(reported=lines, everything=everything)) == ()


def test_a_report_is_compared_with_dataverse_without_the_full_list() -> None:
    known = index_by_id(build_row("off", state=OFF), build_row("renamed", "New"))
    reported = index_by_id(
        build_entry("gone"),
        build_entry("strange"),
        build_entry("off"),
        build_entry("renamed", title="Old"),
        build_entry("mute"),
    )
    known |= index_by_id(build_row("mute", state=OFF))
    reported["mute"] = build_entry("mute", state=None)

    found = find_differences(known, FlowServiceListing(reported=reported, alone={"strange"}))

    assert len(found) == 4
    assert found[0].startswith("1 flow is listed on Microsoft's key, but in no source")
    assert "gone (flow gone)" in found[0]
    assert "strange" in found[1]
    assert "off (flow off: off, on)" in found[2]
    assert "Old (flow renamed: New)" in found[3]


def test_full_list_reports_flows_that_one_source_lacks() -> None:
    known = index_by_id(
        build_row("a"),
        build_row("dataverse-only"),
        build_row("two-ids"),
        build_row("off", state=OFF),
    )
    reported = index_by_id(build_entry("a"), build_entry("report-only"))
    everything = index_by_id(
        build_entry("a"),
        build_entry("service-only"),
        build_entry("two-ids", flow_name="other-name"),
        build_entry("off"),
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


def test_flow_outside_solutions_is_matched_by_its_flow_name() -> None:
    """The flow service returns no Dataverse id for such a flow. Its flow name equals that id."""
    known = index_by_id(build_row("mine"))
    lines = {"mine": build_entry(None, flow_name="mine")}

    assert find_differences(known, FlowServiceListing(reported=lines, everything=lines)) == ()


def test_thousands_of_differences_become_one_sentence() -> None:
    """The job's row has a size limit."""
    known = index_by_id(*(build_row(f"flow-{number}") for number in range(10_000)))

    (text,) = find_differences(known, FlowServiceListing(reported={}, everything={}))

    assert text.startswith("10000 flows are in Dataverse, but not in the flow service")
    assert text.endswith(f" and {10_000 - MAX_NAMED_FLOWS} more.")
    assert len(text) < 2_000
