from datetime import timedelta

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowDraft, WorkflowUpdate
from shared.ports import InsertRow, StoreRow
from tests.fakes.builder import Builder
from tests.fakes.invariants import (
    find_flows_stopped_too_early,
    find_signatures,
    find_signatures_in_store,
    find_writes_without_opt_in,
    watch,
)
from tests.fakes.ports import Fakes, build_fakes
from tests.fakes.run_jobs import call_url
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World

ON = WorkflowUpdate(state=FlowState.ON)
OFF = WorkflowUpdate(state=FlowState.OFF)


class Watched:
    def __init__(self) -> None:
        self.world = World()
        self.builder = Builder(self.world)
        self.builder.apply_key()
        self.orders = self.builder.add_http_flow("Orders")
        self.keyword = self.builder.add_keyword_flow("Keyword")
        self.builder.share_connections()
        self.site = self.builder.add_app_setting_caller(self.orders)
        self.fakes: Fakes = build_fakes(self.world)
        self.before = take_snapshot(self.world)
        watch(self.world)

    @property
    def environment(self) -> Environment:
        return self.builder.environment.build_environment()

    async def copy(self, original: FakeFlow) -> FakeFlow:
        draft = WorkflowDraft(
            workflow_id=self.world.create_guid(),
            name="copy",
            description="",
            client_data=original.client_data,
            owner_id=original.owner_id,
        )
        await self.fakes.ports.workflows.create(self.environment, draft)
        return self.world.get_workflow(original.environment_id, draft.workflow_id)

    async def update(self, flow: FakeFlow, change: WorkflowUpdate) -> None:
        await self.fakes.ports.workflows.update(
            self.environment, flow.workflow_id, change, etag="*"
        )


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_world_records_no_violation_for_a_correct_remediation(watched: Watched) -> None:
    """For a cutover, the original is turned off before the copy is turned on."""
    copy = await watched.copy(watched.orders)
    await watched.update(copy, ON)
    url = watched.builder.get_trigger_url(copy)
    await watched.fakes.ports.app_settings.write(watched.site.id, {"FLOW_URL": url})
    await watched.update(watched.orders, OFF)
    swapped = await watched.copy(watched.keyword)
    await watched.update(watched.keyword, OFF)
    await watched.update(swapped, ON)

    assert watched.world.violations == []


async def test_world_records_violation_for_a_second_copy(watched: Watched) -> None:
    await watched.copy(watched.orders)
    await watched.copy(watched.orders)

    [seen] = watched.world.violations
    assert "copies" in seen


async def test_world_records_violation_if_a_caller_still_holds_the_url_of_a_stopped_original(
    watched: Watched,
) -> None:
    await watched.update(watched.orders, OFF)

    [seen] = watched.world.violations
    assert "orders-api/FLOW_URL" in seen
    assert "sig" not in seen


async def test_world_records_violation_if_original_and_copy_are_both_on(watched: Watched) -> None:
    copy = await watched.copy(watched.keyword)
    await watched.update(copy, ON)
    await watched.update(watched.keyword, OFF)

    [seen] = watched.world.violations
    assert "on together" in seen


async def test_stopped_too_early_finds_a_stop_within_the_no_call_period(watched: Watched) -> None:
    quiet = timedelta(days=7)
    call_url(watched.world, watched.builder.get_trigger_url(watched.orders))

    watched.world.clock.advance(timedelta(days=6))
    await watched.update(watched.orders, OFF)
    assert find_flows_stopped_too_early(watched.world, quiet)
    assert not find_flows_stopped_too_early(watched.world, timedelta(days=6))


async def test_writes_outside_finds_writes_in_other_environments(watched: Watched) -> None:
    await watched.update(watched.orders, WorkflowUpdate(name="Orders 2"))

    assert find_writes_without_opt_in(watched.world, {watched.environment.id}) == []
    assert len(find_writes_without_opt_in(watched.world, set())) == 1


async def test_differences_finds_changes_that_a_rollback_did_not_revert(watched: Watched) -> None:
    copy = await watched.copy(watched.orders)
    await watched.update(copy, ON)
    settings = await watched.fakes.ports.app_settings.read(watched.site.id)
    await watched.fakes.ports.app_settings.write(
        watched.site.id, {"FLOW_URL": settings["FLOW_URL"] + " "}
    )

    assert find_differences(watched.before, watched.world) == [
        f"flow {copy.workflow_id} is on",
        "setting orders-api/FLOW_URL",
    ]
    await watched.fakes.ports.app_settings.write(watched.site.id, settings)
    await watched.update(copy, OFF)
    assert find_differences(watched.before, watched.world) == []


async def test_signature_in_stored_state_is_found(watched: Watched) -> None:
    url = watched.builder.get_trigger_url(watched.orders)
    row = StoreRow(table="Jobs", partition="p", key="k", columns={"url": url})
    await watched.fakes.store.write(InsertRow(row))

    assert find_signatures(watched.world, f"posted to {url}") == ["Orders"]
    [seen] = find_signatures_in_store(watched.world, watched.fakes.store)
    assert "Orders" in seen
    assert url not in seen
