"""Fakes of the ports `Connections`, `CanvasApps` and `MachineGroups`."""

import builtins
from dataclasses import replace

from shared.domain.definitions.connector_sign_in import ConnectorSignIn
from shared.domain.environment import Environment
from shared.domain.power_apps import CanvasApp, Connection, add_sign_in
from shared.errors import InvalidInput, NotFound
from shared.ports import ResultPage
from tests.fakes.flow_reports import build_page
from tests.fakes.world import WorldFake


class FakeConnections(WorldFake):
    async def list(self, environment_id: str) -> list[Connection]:
        found = self._list(environment_id)
        names = {one.connector for one in found}
        return add_sign_in(
            found, {name: await self.read_sign_in(environment_id, name) for name in names}
        )

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[Connection]:
        found = self._list(environment_id)
        return build_page(self._world, found, cursor, self._world.power_apps_page)

    async def read_sign_in(self, environment_id: str, connector: str) -> ConnectorSignIn:
        self._world.get_environment(environment_id)
        return ConnectorSignIn(only_way=self._world.oauth_connectors.get(connector))

    def _list(self, environment_id: str) -> builtins.list[Connection]:
        return [
            Connection(
                name=one.name,
                connector=one.connector,
                display_name=one.name,
                owner=self._world.get_user(one.owner_id).name,
            )
            for one in self._world.get_environment(environment_id).connections.values()
        ]

    async def read_errors(self, environment_id: str) -> dict[str, str]:
        connections = self._world.get_environment(environment_id).connections
        return {name.lower(): one.error for name, one in connections.items()}


class FakeCanvasApps(WorldFake):
    async def list_with_flows(self, environment_id: str) -> list[CanvasApp]:
        apps = self._world.get_environment(environment_id).canvas_apps
        return [app for app in apps if _may_use_flows(app)]

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[CanvasApp]:
        apps = self._world.get_environment(environment_id).canvas_apps
        page = build_page(self._world, apps, cursor, self._world.power_apps_page)
        return replace(page, items=tuple(app for app in page.items if _may_use_flows(app)))

    async def get(self, environment_id: str, name: str) -> CanvasApp:
        for app in self._world.get_environment(environment_id).canvas_apps:
            if app.name == name:
                if app.unknown_reason:
                    raise InvalidInput(app.unknown_reason)
                return app
        raise NotFound(f"No app {name}")


def _may_use_flows(app: CanvasApp) -> bool:
    return bool(app.flow_ids or app.unknown_reason)


class FakeMachineGroups(WorldFake):
    async def read_hosted_groups(self, environment: Environment) -> list[str]:
        return list(self._world.get_environment(environment.id).hosted_machine_groups)
