from datetime import UTC, datetime

import pytest

from shared.domain.flow import FlowListEntry
from shared.domain.flow_owner import FlowOwner, OwnerStatus, format_owner, is_owned_by
from shared.domain.plans.discovery import (
    DiscoveryPage,
    DiscoverySource,
    FlowOnMicrosoftKey,
    combine_pages,
)

ANA = FlowOwner(id="row", entra_id="entra", name="Ana Ruiz", status=OwnerStatus.DISABLED)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("owner", "label"),
    [
        (None, "unknown"),
        (ANA, "Ana Ruiz (disabled)"),
        (FlowOwner(id="row", name="Ana Ruiz", status=OwnerStatus.ENABLED), "Ana Ruiz"),
        (FlowOwner(id="row", status=OwnerStatus.NOT_FOUND), "row (not found)"),
        (FlowOwner(id="row"), "row (name unknown)"),
    ],
)
def test_label_names_the_owner_and_a_status_that_matters(
    owner: FlowOwner | None, label: str
) -> None:
    assert format_owner(owner) == label


@pytest.mark.parametrize("text", ["", " ana ", "RUIZ (dis", "disabled", "row", "ENTRA"])
def test_filter_finds_names_ids_and_status(text: str) -> None:
    assert is_owned_by(ANA, text)
    assert is_owned_by(None, text) == (text == "")


def test_owner_name_is_taken_from_another_flow_if_the_flow_has_no_row() -> None:
    entries = [_list_flow(name) for name in ("a", "b", "c")]
    known = FlowOwner(id="row", entra_id="entra", name="Ana Ruiz", status=OwnerStatus.ENABLED)
    owners = [known, FlowOwner(id="entra", entra_id="entra"), FlowOwner(id="x", entra_id="x")]
    flows = [_find_flow(one, owner) for one, owner in zip(entries, owners, strict=True)]

    found = combine_pages(
        [
            _read_page(DiscoverySource.MICROSOFT_KEY_LIST, reported=tuple(entries)),
            _read_page(DiscoverySource.SINGLE_FLOW, flows_on_microsoft_key=tuple(flows)),
        ]
    )

    assert [one.owner for one in found.flows_on_microsoft_key] == [
        known,
        FlowOwner(id="entra", entra_id="entra", name="Ana Ruiz", status=OwnerStatus.ENABLED),
        owners[2],
    ]


def _list_flow(name: str) -> FlowListEntry:
    return FlowListEntry(flow_name=name, display_name=name, workflow_id=name, state=None)


def _find_flow(entry: FlowListEntry, owner: FlowOwner) -> FlowOnMicrosoftKey:
    return FlowOnMicrosoftKey(
        workflow_id=entry.identity,
        flow_name=entry.flow_name,
        display_name=entry.display_name,
        is_on=True,
        is_managed=False,
        in_solution=False,
        definition=None,
        unreadable_reason="",
        digest="",
        owner=owner,
    )


def _read_page(
    source: DiscoverySource,
    *,
    reported: tuple[FlowListEntry, ...] = (),
    flows_on_microsoft_key: tuple[FlowOnMicrosoftKey, ...] = (),
) -> DiscoveryPage:
    return DiscoveryPage(
        environment_job_id="job",
        source=source,
        sequence=0,
        read_at=NOW,
        ends_page=True,
        reported=reported,
        flows_on_microsoft_key=flows_on_microsoft_key,
    )
