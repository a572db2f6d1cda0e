from datetime import UTC, datetime
from typing import Any

from shared.domain.flow import FlowListEntry, FlowState, WorkflowSummary
from shared.domain.plans.discovery import (
    DiscoveryPage,
    DiscoverySource,
    FlowOnMicrosoftKey,
    combine_pages,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def build_page(source: DiscoverySource, number: int = 0, **more: Any) -> DiscoveryPage:
    return DiscoveryPage(
        environment_job_id="job",
        source=source,
        sequence=number,
        read_at=NOW,
        ends_page=True,
        **more,
    )


def build_report(*flows: str) -> DiscoveryPage:
    reported = (
        FlowListEntry(flow_name=one, display_name=one, workflow_id=one, state=FlowState.ON)
        for one in flows
    )
    return build_page(DiscoverySource.MICROSOFT_KEY_LIST, reported=tuple(reported))


def build_rows(*flows: str, etag: str = "1") -> tuple[WorkflowSummary, ...]:
    return tuple(
        WorkflowSummary(workflow_id=one, name=one, state=FlowState.ON, etag=etag) for one in flows
    )


def build_flow_on_microsoft_key(flow: str, digest: str = "first") -> FlowOnMicrosoftKey:
    return FlowOnMicrosoftKey(
        workflow_id=flow,
        flow_name=flow,
        display_name=flow,
        is_on=True,
        is_managed=False,
        in_solution=True,
        definition=None,
        unreadable_reason="",
        digest=digest,
    )


FIRST = build_page(
    DiscoverySource.DATAVERSE,
    workflows=build_rows("a", "b", "c"),
    flows_on_microsoft_key=(build_flow_on_microsoft_key("a"), build_flow_on_microsoft_key("b")),
    children={"a": frozenset({"c"}), "b": frozenset({"c"})},
)


def test_flow_that_was_read_twice_has_the_values_of_the_last_read() -> None:
    again = build_page(
        DiscoverySource.DATAVERSE,
        1,
        workflows=build_rows("a", etag="2"),
        flows_on_microsoft_key=(build_flow_on_microsoft_key("a", "second"),),
    )

    found = combine_pages([build_report("a", "b"), FIRST, again])

    assert {one.workflow_id: one.digest for one in found.flows_on_microsoft_key} == {
        "a": "second",
        "b": "first",
    }
    assert found.children == {"a": frozenset(), "b": frozenset({"c"}), "c": frozenset()}


def test_deleted_flow_has_no_children_and_is_not_on_microsofts_key() -> None:
    found = combine_pages(
        [build_report("a", "b"), FIRST, build_page(DiscoverySource.DATAVERSE, 1, deleted=("b",))]
    )

    assert [one.workflow_id for one in found.flows_on_microsoft_key] == ["a"]
    assert "b" not in found.children
    assert any("in no source" in finding for finding in found.findings)


def test_only_flows_on_the_microsoft_key_list_are_on_microsofts_key() -> None:
    found = combine_pages([build_report("b"), FIRST])

    assert [one.workflow_id for one in found.flows_on_microsoft_key] == ["b"]
    assert found.children["a"] == {"c"}
