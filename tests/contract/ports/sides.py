"""Build both implementations of the platform's ports on tenants with the same description. The side
`fakes` is a tenant in memory. The side `wire` is the app's adapters with a local tenant, over TLS
and a proxy.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from local_cloud.tenant.azure.reachability import REFUSED
from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, start_run
from shared.domain.callers.declared_caller import DeclaredCaller
from shared.domain.environment import Environment
from shared.ports import PlatformPorts
from shared.state.rows import Table
from tests.contract.adapter_world import Adapters, run_adapters
from tests.contract.ports import described_fakes
from tests.contract.ports.described_tenant import build_description
from tests.fakes.flow_pages import SIZE
from tests.fakes.ports import build_fakes
from tests.fakes.run_jobs import run_flow
from tests.fakes.world import World
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT


class Hands(Protocol):
    """Makes the changes of people and of the platform in a side's tenant, and reads what no port
    returns.
    """

    @property
    def assumptions(self) -> Assumptions:
        """Return the tenant's assumptions, which a test may change."""

    def read_time(self) -> datetime: ...

    def advance(self, step: timedelta) -> None: ...

    def find_user_id(self, entra_id: str) -> str:
        """Return the `systemuserid` of a person or application."""

    def read_url_id(self, flow_id: str) -> str:
        """Return the 32-hex id in a flow's trigger URL."""

    async def read_trigger_url(self, flow_id: str) -> str: ...

    def make_managed(self, flow_id: str) -> None: ...

    def remove_user(self, entra_id: str) -> None:
        """Remove a person's row from the environment's Dataverse."""

    def block_connector(self, connector: str) -> None:
        """Add a data policy that blocks a connector to the tenant."""

    def stamp_reference(self, flow_id: str, reference: str) -> None:
        """Add to a flow a connection reference that the platform does not find at a later save."""

    def count_wiped_references(self, flow_id: str) -> int:
        """Return how often a rejected save has emptied a flow's connection references."""

    def remove_licence(self, entra_id: str) -> None: ...

    def fail_call(self, flow_id: str) -> None:
        """Let the newest run of a flow fail, as if a firewall had denied the request of the action
        `Call`.
        """

    def call(self, flow_id: str, headers: dict[str, str], *, is_skipped: bool = False) -> None:
        """Start a run of a flow by a call. If `is_skipped`, the platform skips the run."""

    def let_oldest_run_continue(self, flow_id: str) -> None:
        """Let the oldest run of a flow stay in progress for another day."""

    async def declare(self, caller: DeclaredCaller) -> None: ...

    def set_run_page(self, size: int) -> None: ...

    async def link(self) -> None:
        """Apply the enterprise policy. The platform migration does not begin yet."""

    async def migrate(self) -> None:
        """Wait until the platform has migrated all flows that can migrate."""

    async def sign_in(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    ports: PlatformPorts
    hands: Hands

    async def read_environment(self) -> Environment:
        return await self.ports.environments.get(ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class _FakeHands:
    world: World

    @property
    def assumptions(self) -> Assumptions:
        return self.world.assumptions

    def read_time(self) -> datetime:
        return self.world.clock.now()

    def advance(self, step: timedelta) -> None:
        self.world.clock.advance(step)

    def find_user_id(self, entra_id: str) -> str:
        return self.world.get_user_by_entra_id(entra_id).user_id

    def read_url_id(self, flow_id: str) -> str:
        return self.world.get_workflow(ENVIRONMENT, flow_id).trigger_url_id

    async def read_trigger_url(self, flow_id: str) -> str:
        return described_fakes.build_url(self.world, flow_id)

    def make_managed(self, flow_id: str) -> None:
        self.world.get_workflow(ENVIRONMENT, flow_id).is_managed = True

    def remove_user(self, entra_id: str) -> None:
        del self.world.users[self.find_user_id(entra_id)]

    def block_connector(self, connector: str) -> None:
        self.world.get_environment(ENVIRONMENT).blocked_connectors.add(connector)

    def stamp_reference(self, flow_id: str, reference: str) -> None:
        self.world.get_workflow(ENVIRONMENT, flow_id).stamped_reference = reference

    def count_wiped_references(self, flow_id: str) -> int:
        return self.world.get_workflow(ENVIRONMENT, flow_id).references_wiped

    def remove_licence(self, entra_id: str) -> None:
        self.world.get_user_by_entra_id(entra_id).has_premium = False

    def fail_call(self, flow_id: str) -> None:
        run = max(self.world.get_workflow(ENVIRONMENT, flow_id).runs, key=lambda one: one.started)
        run.failed, run.failed_action, run.error = True, "Call", REFUSED

    def call(self, flow_id: str, headers: dict[str, str], *, is_skipped: bool = False) -> None:
        self.world.clock.advance(timedelta(seconds=10))
        run = run_flow(self.world, self.world.get_workflow(ENVIRONMENT, flow_id))
        run.headers, run.is_skipped = headers, is_skipped
        run.ends = run.started

    def let_oldest_run_continue(self, flow_id: str) -> None:
        run = min(self.world.get_workflow(ENVIRONMENT, flow_id).runs, key=lambda one: one.started)
        run.ends = self.world.clock.now() + timedelta(days=1)

    async def declare(self, caller: DeclaredCaller) -> None:
        self.world.declared_callers.append(caller)

    def set_run_page(self, size: int) -> None:
        self.world.run_page = size

    async def link(self) -> None:
        described_fakes.link(self.world, self.world.get_environment(ENVIRONMENT))

    async def migrate(self) -> None:
        described_fakes.migrate(self.world, self.world.get_environment(ENVIRONMENT))

    async def sign_in(self) -> None:
        """The service account of the fakes is always signed in."""


@dataclass(frozen=True, slots=True)
class _TenantHands:
    app: Adapters

    @property
    def assumptions(self) -> Assumptions:
        return self.app.world.platform.assumptions

    def read_time(self) -> datetime:
        return self.app.world.tenant.clock.now()

    def advance(self, step: timedelta) -> None:
        self.app.world.tenant.clock.advance(step.total_seconds())

    def find_user_id(self, entra_id: str) -> str:
        row: str = self.app.world.environment.users[entra_id]["systemuserid"]
        return row

    def read_url_id(self, flow_id: str) -> str:
        return self.app.world.environment.flows[flow_id].workflow_id

    async def read_trigger_url(self, flow_id: str) -> str:
        return await self.app.world.get_trigger_url(flow_id)

    def make_managed(self, flow_id: str) -> None:
        self.app.world.environment.workflows[flow_id].is_managed = True

    def remove_user(self, entra_id: str) -> None:
        user = self.app.world.environment.users.pop(entra_id)
        del self.app.world.environment.get_table("systemusers")[user["systemuserid"]]

    def block_connector(self, connector: str) -> None:
        self.app.world.environment.blocked_connectors.add(connector)

    def stamp_reference(self, flow_id: str, reference: str) -> None:
        self.app.world.environment.workflows[flow_id].stamped_reference = reference

    def count_wiped_references(self, flow_id: str) -> int:
        return self.app.world.environment.workflows[flow_id].references_wiped

    def remove_licence(self, entra_id: str) -> None:
        self.app.world.tenant.get_part(Directory).principals[entra_id].has_premium = False

    def fail_call(self, flow_id: str) -> None:
        runs = self.app.world.environment.workflows[flow_id].runs
        run = max(runs, key=lambda one: one.started)
        error = {"code": "BadRequest", "message": REFUSED}
        run.outcome, run.actions["Call"] = "Failed", {"status": "Failed", "error": error}
        run.error = {"code": "ActionFailed", "message": "An action failed."}
        run.actions["Before"] = {"status": "Succeeded", "code": "OK"}

    def call(self, flow_id: str, headers: dict[str, str], *, is_skipped: bool = False) -> None:
        world = self.app.world
        flow = world.environment.workflows[flow_id]
        world.tenant.clock.advance(10)
        start = Start(cause=RunStartKind.URL, by="", headers=headers)
        run = start_run(world.tenant, world.environment, flow, start)
        run.outcome = "Skipped" if is_skipped else run.outcome

    def let_oldest_run_continue(self, flow_id: str) -> None:
        runs = self.app.world.environment.workflows[flow_id].runs
        run = min(runs, key=lambda one: one.started)
        run.ends = self.app.world.tenant.clock.now() + timedelta(days=1)

    async def declare(self, caller: DeclaredCaller) -> None:
        rows = self.app.declared_callers
        assert isinstance(rows, Table)
        await rows.upsert(caller)

    def set_run_page(self, size: int) -> None:
        self.app.world.platform.assumptions.run_page = size

    async def link(self) -> None:
        await self.app.world.link()

    async def migrate(self) -> None:
        await self.app.world.control("POST", "/clock/advance", {"seconds": 101})

    async def sign_in(self) -> None:
        await self.app.sign_in()


@asynccontextmanager
async def run_side(name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Side]:
    if name == "fakes":
        world = described_fakes.build_world(build_description())
        yield Side(ports=build_fakes(world).ports, hands=_FakeHands(world))
        return
    async with run_adapters(monkeypatch, build_description()) as app:
        app.world.platform.assumptions.flow_page = SIZE
        app.world.platform.assumptions.dataverse_page = SIZE
        yield Side(ports=app, hands=_TenantHands(app))
