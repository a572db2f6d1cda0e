"""Describe where the sources of a discovery disagree about a flow.

The platform's list decides what is copied (platform.md#microsoft-key-list). A difference is
reported to a person. Each kind of difference is one text for all its flows, because ten thousand
texts would not fit in a row.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from shared.domain.flow import FlowListEntry, WorkflowSummary

#: Most flows named in one text; the others are counted.
MAX_NAMED_FLOWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowServiceListing:
    """What the flow service lists in an environment, by the flows' ids in Dataverse."""

    #: The list of flows that stay on Microsoft's key.
    reported: Mapping[str, FlowListEntry]
    #: Those of them that Dataverse does not have and the flow service could show.
    alone: Collection[str] = ()
    #: The list of every flow; None: it was not read (a full comparison is optional).
    everything: Mapping[str, FlowListEntry] | None = None


def find_differences(
    known: Mapping[str, WorkflowSummary], listed: FlowServiceListing
) -> tuple[str, ...]:
    """Return in words where the flow service differs from Dataverse.

    `known` contains the flows in Dataverse by workflow id.
    """
    reported = listed.reported
    gone = [
        flow
        for identity, flow in reported.items()
        if identity not in known and identity not in listed.alone
    ]
    found = [
        *_describe_difference(
            "listed on Microsoft's key, but in no source (deleted in the meantime?)", gone
        ),
        *_describe_difference(
            "listed with a workflow id that Dataverse does not have (read from the flow service)",
            [
                reported[one]
                for one in listed.alone
                if one in reported and reported[one].workflow_id
            ],
        ),
    ]
    if listed.everything is None:
        return (
            *found,
            *_list_state_and_name_differences(
                known, reported, "the list of flows on Microsoft's key"
            ),
        )
    everything = listed.everything
    here = {flow.flow_name.lower() for flow in everything.values()} | everything.keys()
    return (
        *found,
        *_describe_difference(
            "in the flow service, but not in Dataverse",
            [flow for identity, flow in everything.items() if identity not in known],
        ),
        *_describe_difference(
            "in Dataverse, but not in the flow service",
            [flow for identity, flow in known.items() if identity not in here],
        ),
        *_describe_difference(
            "listed on Microsoft's key, but not in the flow service's list of all flows",
            [flow for identity, flow in reported.items() if identity not in everything],
        ),
        *_list_state_and_name_differences(known, everything, "the flow service"),
        *_describe_difference(
            (
                "listed with a flow name that differs from the workflow id (both are used; no "
                "action is required)"
            ),
            [
                flow
                for flow in everything.values()
                if flow.workflow_id and flow.workflow_id.lower() != flow.flow_name.lower()
            ],
        ),
    )


def _list_state_and_name_differences(
    known: Mapping[str, WorkflowSummary], listed: Mapping[str, FlowListEntry], by: str
) -> Iterator[str]:
    both = [(known[identity], flow) for identity, flow in listed.items() if identity in known]
    yield from _describe_difference(
        f"in another state in Dataverse than in {by}",
        [flow for row, flow in both if flow.state and flow.state is not row.state],
        {row.workflow_id: f"{row.state}, {flow.state}" for row, flow in both},
    )
    yield from _describe_difference(
        f"named differently in Dataverse than in {by}",
        [flow for row, flow in both if flow.display_name and flow.display_name != row.name],
        {row.workflow_id: row.name for row, _ in both},
    )


def _describe_difference(
    what: str,
    flows: Collection[FlowListEntry | WorkflowSummary],
    details: Mapping[str, str] | None = None,
) -> Iterator[str]:
    if not flows:
        return
    names = sorted(_format_flow(flow, details or {}) for flow in flows)
    more = f" and {len(names) - MAX_NAMED_FLOWS} more" if len(names) > MAX_NAMED_FLOWS else ""
    count = "1 flow is" if len(names) == 1 else f"{len(names)} flows are"
    yield f"{count} {what}: {', '.join(names[:MAX_NAMED_FLOWS])}{more}."


def _format_flow(flow: FlowListEntry | WorkflowSummary, details: Mapping[str, str]) -> str:
    if isinstance(flow, WorkflowSummary):
        return f"{flow.name} (workflow {flow.workflow_id})"
    ids = f"flow {flow.flow_name}"
    if flow.workflow_id and flow.workflow_id.lower() != flow.flow_name.lower():
        ids = f"{ids}, workflow {flow.workflow_id}"
    detail = details.get(flow.identity)
    return f"{flow.display_name} ({ids}{': ' + detail if detail else ''})"
