from datetime import timedelta

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import replace_references, revert_edits
from shared.domain.flow import WorkflowUpdate
from shared.domain.trigger_urls.signatures import find_signatures
from shared.ports import CallerKind, ReadOnSave
from tests.fakes.builder import Builder
from tests.fakes.ports import Ports, build_fakes
from tests.fakes.services import build_kinds
from tests.fakes.world import World


async def write_caller(
    ports: Ports, kind: CallerKind, caller: Caller, value: CallerContent
) -> None:
    """Write a caller. Also save the flows that read its value only when they are saved."""
    await kind.write(caller, value)
    if isinstance(kind, ReadOnSave):
        environment = await ports.environments.get(caller.environment_id or "")
        for flow in (await kind.read_flows_to_save(caller)).flows:
            change = WorkflowUpdate(client_data=flow.client_data)
            await ports.workflows.update(environment, flow.workflow_id, change, etag=flow.etag)


class Tenant:
    """A tenant with one original and one copy of it, for tests of callers."""

    def __init__(self) -> None:
        self.world = World()
        self.builder = Builder(self.world)
        self.original = self.builder.add_http_flow("Original")
        self.copy = self.builder.add_http_flow("Copy")
        self.ports: Ports = build_fakes(self.world).ports
        self.kinds = build_kinds(self.ports)

    async def list_found_callers(self, kind: str) -> list[Caller]:
        environments = await self.ports.environments.list()
        return [
            caller
            async for caller in self.kinds[kind].find(environments)
            if self.original.trigger_url_id in caller.trigger_url_ids
            or self.original.workflow_id in caller.child_flow_ids
        ]

    async def read(self, caller: Caller) -> CallerContent:
        return await self.kinds[caller.kind].read(caller)

    async def update_caller(self, caller: Caller) -> CallerContent:
        """Make a caller call the copy instead of the original, and return its former content."""
        kind = self.kinds[caller.kind]
        value = await kind.read(caller)
        new = self._rewrite(kind, value.text)
        await write_caller(self.ports, kind, caller, CallerContent(text=new, etag=value.etag))
        self.world.clock.advance(timedelta(seconds=max(self.world.assumptions.list_lag_seconds)))
        assert (await kind.read(caller)).text == new != value.text
        return value

    async def revert_caller(self, caller: Caller, old: CallerContent) -> None:
        """Revert the change of `update_caller`, which returned `old`."""
        kind = self.kinds[caller.kind]
        urls = {self.original.trigger_url_id: self.builder.get_trigger_url(self.copy)}
        flow_ids = {self.original.workflow_id: self.copy.workflow_id}
        edits = replace_references(
            old.text, is_json=kind.is_json, urls=urls, flow_ids=flow_ids
        ).edits
        value = await kind.read(caller)
        text = revert_edits(value.text, edits, find_signatures(old.text))
        await write_caller(self.ports, kind, caller, CallerContent(text=text, etag=value.etag))

    def _rewrite(self, kind: CallerKind, text: str) -> str:
        return replace_references(
            text,
            is_json=kind.is_json,
            urls={self.original.trigger_url_id: self.builder.get_trigger_url(self.copy)},
            flow_ids={self.original.workflow_id: self.copy.workflow_id},
        ).text

    def count_runs_after_a_beat(self) -> tuple[int, int]:
        """Let each caller call once without a lost call. Return the number of runs of original and
        copy.
        """
        self.world.traffic.beat(self.world)
        assert self.world.traffic.lost_calls == []
        return len(self.original.runs), len(self.copy.runs)
