"""Fake of the port `ConnectionReferences`. See platform.md#connection-references."""

from collections.abc import Collection

from shared.domain.definitions.connection_reference import (
    ConnectionReference,
    ConnectionReferenceDraft,
)
from shared.domain.environment import Environment
from shared.errors import AlreadyExists, NotFound, PlatformError
from tests.fakes.tenant import FakeEnvironment, FakeUser
from tests.fakes.world import WorldFake


class FakeConnectionReferences(WorldFake):
    async def find_by_connection(
        self, environment: Environment, connection_ids: Collection[str]
    ) -> list[ConnectionReference]:
        wanted = {name.lower() for name in connection_ids}
        rows = self._list_shown(environment.id, in_list=True)
        return [row for row in rows if row.connection_id.lower() in wanted]

    async def find_by_name(
        self, environment: Environment, logical_names: Collection[str]
    ) -> list[ConnectionReference]:
        wanted = {name.lower() for name in logical_names}
        rows = self._list_shown(environment.id, in_list=True)
        return [row for row in rows if row.logical_name.lower() in wanted]

    async def get(self, environment: Environment, reference_id: str) -> ConnectionReference:
        for row in self._list_shown(environment.id):
            if row.reference_id == reference_id:
                return row
        raise NotFound(f"connectionreference With Id = {reference_id} Does Not Exist")

    async def create(self, environment: Environment, draft: ConnectionReferenceDraft) -> None:
        world, fake = self._world, self._world.get_environment(environment.id)
        actor = self._get_actor(draft)
        if any(row.reference_id == draft.reference_id for row in self._list_rows(fake.id)):
            raise AlreadyExists("A record with matching key values already exists.")
        if draft.connection_id:
            _require_permission(fake, draft, actor)
        with world.record_write(fake.id, "create connection reference", draft.reference_id):
            world.let_reference_lag(fake, draft.reference_id)
            fake.connection_references[draft.logical_name] = ConnectionReference(
                reference_id=draft.reference_id,
                logical_name=draft.logical_name,
                connector_id=draft.connector_id,
                connection_id=draft.connection_id,
                owner_id=actor.user_id,
            )

    def _list_shown(
        self, environment_id: str, *, in_list: bool = False
    ) -> list[ConnectionReference]:
        unseen = self._world.get_environment(environment_id).unseen_references
        now = self._world.clock.now()
        return [
            row
            for row in self._list_rows(environment_id)
            if row.reference_id not in unseen
            or unseen[row.reference_id].find_shown_item(row, now, in_list=in_list) is not None
        ]

    def _list_rows(self, environment_id: str) -> list[ConnectionReference]:
        return list(self._world.get_environment(environment_id).connection_references.values())

    def _get_actor(self, draft: ConnectionReferenceDraft) -> FakeUser:
        if not draft.owner_id:
            return self._world.application
        return self._world.get_acting_user(draft.owner_id, is_entra_id=draft.owner_is_entra_id)


def _require_permission(
    environment: FakeEnvironment, draft: ConnectionReferenceDraft, actor: FakeUser
) -> None:
    """Raise an error unless the actor may use the connection.

    See platform.md#connection-references.
    """
    connection = environment.connections.get(draft.connection_id)
    if connection and actor.user_id in {connection.owner_id, *connection.shared_with}:
        return
    raise PlatformError(
        f"The caller object id is '{actor.entra_id}'. Connection '{draft.connection_id}' to "
        f"'{draft.connector_id.rpartition('/')[2]}' cannot be used.",
        code="ConnectionAuthorizationFailed",
        status=403,
    )
