"""Test both implementations of `ConnectionReferences` (platform.md#connection-references)."""

from dataclasses import replace

import pytest

from shared.domain.definitions.connection_reference import ConnectionReferenceDraft
from shared.errors import AlreadyExists, NotFound, PlatformError
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import APP, MAKER

REFERENCE = "d0000000-0000-4000-8000-000000000001"


def build_draft(side: Side, connection: str = "office-maker") -> ConnectionReferenceDraft:
    return ConnectionReferenceDraft(
        reference_id=REFERENCE,
        logical_name="cmk_sharedoffice365_d00000000000",
        display_name="shared_office365 of Orders",
        description="Made for the copy of a flow that embeds its connection.",
        connector_id="/providers/Microsoft.PowerApps/apis/shared_office365",
        connection_id=connection,
        owner_id=side.hands.find_user_id(MAKER),
    )


@pytest.mark.parametrize("by_entra_id", [False, True])
async def test_reference_is_created_for_the_maker_and_read_back(
    side: Side, *, by_entra_id: bool
) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    made = build_draft(side)
    if by_entra_id:
        made = replace(made, owner_id=MAKER, owner_is_entra_id=True)

    await references.create(environment, made)

    row = await references.get(environment, REFERENCE)
    assert made.is_stored_as(row)
    assert row.owner_id == side.hands.find_user_id(MAKER)


async def test_second_create_raises_already_exists_and_changes_nothing(side: Side) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    await references.create(environment, build_draft(side))

    with pytest.raises(AlreadyExists):
        await references.create(environment, build_draft(side, "office-shared"))

    row = await references.get(environment, REFERENCE)
    assert row.connection_id == "office-maker"


async def test_owner_of_a_create_is_checked_before_the_row(side: Side) -> None:
    """A person without rights must not learn that a reference exists."""
    references, environment = side.ports.connection_references, await side.read_environment()
    await references.create(environment, build_draft(side))
    for_a_stranger = replace(build_draft(side), owner_id=STRANGER, owner_is_entra_id=True)

    with pytest.raises(PlatformError, match="0x80072560"):
        await references.create(environment, for_a_stranger)


async def test_references_are_found_by_their_connection_in_any_case(
    side: Side,
) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    await references.create(environment, build_draft(side))

    found = await references.find_by_connection(environment, ["OFFICE-MAKER", "o'brien"])

    assert REFERENCE in {row.reference_id for row in found}
    assert {row.connection_id for row in found} == {"office-maker"}
    assert await references.find_by_connection(environment, ["o'brien"]) == []


async def test_references_are_found_by_their_logical_name(side: Side) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    made = build_draft(side)
    await references.create(environment, made)

    found = await references.find_by_name(environment, [made.logical_name, "o'brien"])

    assert [row.reference_id for row in found] == [REFERENCE]
    assert await references.find_by_name(environment, ["o'brien"]) == []


async def test_reference_to_an_unusable_connection_is_rejected(side: Side) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    as_app = replace(build_draft(side), owner_id="")

    with pytest.raises(PlatformError) as refused:
        await references.create(environment, as_app)

    assert refused.value.code == "ConnectionAuthorizationFailed"
    await references.create(environment, replace(as_app, connection_id="office-shared"))
    row = await references.get(environment, REFERENCE)
    assert row.owner_id == side.hands.find_user_id(APP)


async def test_a_reference_may_be_bound_to_no_connection(side: Side) -> None:
    """Each person who runs the flow then provides a connection."""
    references, environment = side.ports.connection_references, await side.read_environment()
    await references.create(environment, build_draft(side, ""))

    row = await references.get(environment, REFERENCE)

    assert row.connection_id == ""


async def test_missing_reference_is_not_found(side: Side) -> None:
    references, environment = side.ports.connection_references, await side.read_environment()
    with pytest.raises(NotFound):
        await references.get(environment, REFERENCE)
