"""What both implementations of `ConnectionReferences` do: the twin, and the adapter on the wire."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from shared.domain.definitions.connection_reference import ConnectionReferenceDraft
from shared.domain.environment import Environment
from shared.errors import AlreadyExists, NotFound, Refused
from shared.ports import ConnectionReferences
from tests.contract.adapter_world import adapters
from tests.contract.tenant_world import APP, ENVIRONMENT, MAKER
from tests.twins.builder import Builder
from tests.twins.connection_references import ConnectionReferencesTwin
from tests.twins.world import World

CONNECTOR = "/providers/Microsoft.PowerApps/apis/shared_office365"
REFERENCE = "d0000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An implementation, and an environment with connections of a maker."""

    references: ConnectionReferences
    environment: Environment
    #: `systemuserid` and Entra object id.
    maker: str
    maker_entra: str
    application: str

    def draft(self, connection: str = "office-maker") -> ConnectionReferenceDraft:
        """Return a reference of the maker to one of their connections."""
        return ConnectionReferenceDraft(
            reference_id=REFERENCE,
            logical_name="cmk_sharedoffice365_d00000000000",
            display_name="shared_office365 of Orders",
            description="Made for the copy of a flow that embeds its connection.",
            connector_id=CONNECTOR,
            connection_id=connection,
            owner_id=self.maker,
        )


@pytest.fixture(params=["twin", "wire"])
async def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """Give each implementation where `office-maker` is the maker's, `office-shared` shared."""
    if request.param == "twin":
        world = World()
        build = Builder(world)
        build.connection("office-maker", "shared_office365", owner=build.owner)
        shared = build.connection("office-shared", "shared_office365", owner=build.owner)
        shared.shared_with.add(world.application.user_id)
        yield Place(
            references=ConnectionReferencesTwin(world),
            environment=build.environment.described(),
            maker=build.owner.user_id,
            maker_entra=build.owner.entra_id,
            application=world.application.user_id,
        )
        return
    async with adapters(monkeypatch) as app:
        users = app.world.environment.users
        yield Place(
            references=app.references,
            environment=await app.environments.get(ENVIRONMENT),
            maker=users[MAKER]["systemuserid"],
            maker_entra=MAKER,
            application=users[APP]["systemuserid"],
        )


@pytest.mark.parametrize("by_entra_id", [False, True])
async def test_a_reference_is_created_as_the_makers_and_reads_back(
    place: Place, *, by_entra_id: bool
) -> None:
    """The app acts for the maker, whichever id of theirs is known."""
    draft = place.draft()
    if by_entra_id:
        draft = replace(draft, owner_id=place.maker_entra, owner_is_entra_id=True)

    await place.references.create(place.environment, draft)

    row = await place.references.get(place.environment, REFERENCE)
    assert draft.is_stored_as(row)
    assert row.owner_id == place.maker


async def test_a_second_create_changes_nothing_and_says_so(place: Place) -> None:
    """The row under that id stays as the first made it."""
    await place.references.create(place.environment, place.draft())

    with pytest.raises(AlreadyExists):
        await place.references.create(place.environment, place.draft("office-shared"))

    row = await place.references.get(place.environment, REFERENCE)
    assert row.connection_id == "office-maker"


async def test_references_are_found_by_their_connection_however_it_is_spelled(
    place: Place,
) -> None:
    """Others are left out; a quote in a name is nothing special."""
    await place.references.create(place.environment, place.draft())

    found = await place.references.find(place.environment, ["OFFICE-MAKER", "o'brien"])

    assert REFERENCE in {row.reference_id for row in found}
    assert {row.connection_id for row in found} == {"office-maker"}
    assert await place.references.find(place.environment, ["o'brien"]) == []


async def test_who_may_not_use_a_connection_may_not_name_it(place: Place) -> None:
    """The app is refused the maker's own connection, and given the one that is shared with it."""
    as_app = replace(place.draft(), owner_id="")

    with pytest.raises(Refused) as refused:
        await place.references.create(place.environment, as_app)

    assert refused.value.code == "ConnectionAuthorizationFailed"
    await place.references.create(place.environment, replace(as_app, connection_id="office-shared"))
    row = await place.references.get(place.environment, REFERENCE)
    assert row.owner_id == place.application


async def test_a_reference_may_be_bound_to_no_connection(place: Place) -> None:
    """Whoever runs the flow brings one."""
    await place.references.create(place.environment, place.draft(""))

    row = await place.references.get(place.environment, REFERENCE)

    assert row.connection_id == ""


async def test_a_reference_that_is_not_there_is_not_found(place: Place) -> None:
    """A delivery that died before the create finds nothing."""
    with pytest.raises(NotFound):
        await place.references.get(place.environment, REFERENCE)
