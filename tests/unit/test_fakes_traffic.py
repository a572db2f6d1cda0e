import pytest

from shared.domain.flow import FlowState, WorkflowUpdate
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.flow_service import build_trigger_url, turn_off, turn_on
from tests.fakes.ports import build_fakes
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World


@pytest.fixture
def builder() -> Builder:
    return Builder(World())


def turn_on_again(builder: Builder, flow: FakeFlow) -> None:
    """Turn a flow on, as its owner would."""
    turn_on(builder.world, flow, builder.owner)


def test_rejected_call_is_recorded_as_lost(builder: Builder) -> None:
    traffic, flow = builder.world.traffic, builder.add_http_flow("Orders")
    builder.add_external_system("till", builder.get_trigger_url(flow))
    traffic.beat(builder.world)

    turn_off(builder.world, flow)
    traffic.beat(builder.world)
    turn_on_again(builder, flow)
    traffic.beat(builder.world)

    assert [line.system for line in traffic.lost_calls] == ["till"]
    assert [line.outcome.status for line in traffic.ledger] == [202, 400, 202]


def test_call_with_a_failed_run_is_recorded_as_lost(builder: Builder) -> None:
    child, parent, _ = builder.add_family("Billing")
    builder.add_external_system("till", builder.get_trigger_url(parent))
    builder.world.traffic.beat(builder.world)

    turn_off(builder.world, child)
    builder.world.traffic.beat(builder.world)

    [lost] = builder.world.traffic.lost_calls
    assert lost.outcome.is_accepted


def test_system_whose_calls_never_worked_loses_no_call(builder: Builder) -> None:
    """What did not work before the remediation was not broken by it."""
    child, parent, _ = builder.add_family("Billing")
    turn_off(builder.world, child)
    builder.add_external_system("till", builder.get_trigger_url(parent))

    builder.world.traffic.beat(builder.world)
    builder.world.traffic.beat(builder.world)

    assert builder.world.traffic.lost_calls == []


async def test_systems_call_the_url_that_is_stored_in_their_caller(builder: Builder) -> None:
    old, new = builder.add_http_flow("Old"), builder.add_http_flow("New")
    site = builder.add_app_setting_caller(old)
    builder.add_secret_caller(old)
    caller = builder.add_flow_caller(old)
    ports, url = build_fakes(builder.world).ports, builder.get_trigger_url(new)
    builder.world.traffic.beat(builder.world)

    settings = await ports.app_settings.read(site.id)
    await ports.app_settings.write(site.id, settings | {"FLOW_URL": url})
    [vault_url] = [found async for found in ports.secrets.read_vault_urls()]
    [name] = [found async for found in ports.secrets.list(vault_url)]
    await ports.secrets.write(await ports.secrets.read(vault_url, name), url)
    text = caller.client_data.replace(builder.get_trigger_url(old), url)
    change = WorkflowUpdate(client_data=text)
    environment = builder.environment.build_environment()
    await ports.workflows.update(environment, caller.workflow_id, change, etag="*")
    builder.world.traffic.beat(builder.world)

    assert (len(old.runs), len(new.runs)) == (3, 3)
    assert builder.world.traffic.lost_calls == []
    assert site.restarts == 1


def test_recurrence_runs_at_activation_and_then_at_its_interval(builder: Builder) -> None:
    flow, clock = builder.add_parent("Hourly"), builder.world.clock
    interval = define.build_recurrence_trigger()["recurrence"]["interval"]
    step = flow.run_duration

    builder.world.traffic.tick(builder.world)
    clock.advance(step)
    builder.world.traffic.tick(builder.world)
    assert flow.next_run is not None
    clock.advance_to(flow.next_run + step)
    builder.world.traffic.tick(builder.world)

    assert interval == 1
    assert len(flow.runs) == 2


def test_polling_trigger_processes_its_backlog_after_it_is_turned_on(builder: Builder) -> None:
    """A new flow has no backlog."""
    world, flow = builder.world, builder.add_polling_flow("Notes")
    turn_off(world, flow)
    world.traffic.emit(world, flow)
    fresh = builder.add_polling_flow("Notes again")

    world.traffic.tick(world)
    assert world.traffic.unhandled_events
    turn_on_again(builder, flow)
    world.traffic.tick(world)

    assert world.traffic.unhandled_events == []
    assert (len(flow.runs), len(fresh.runs)) == (1, 0)


def test_webhook_trigger_loses_events_while_it_is_off(builder: Builder) -> None:
    world, first = builder.world, builder.add_keyword_flow("Keyword")
    turn_off(world, first)
    missed = world.traffic.emit(world, first)
    turn_on_again(builder, first)
    second = builder.add_keyword_flow("Keyword again")

    doubled = world.traffic.emit(world, second)
    world.traffic.tick(world)

    assert world.traffic.unhandled_events == [missed]
    assert world.traffic.events_handled_twice == [doubled]


def test_equal_seeds_make_equal_worlds() -> None:
    """With the seed, a failure can be repeated."""

    def build_url(seed: int) -> str:
        builder = Builder(World(seed=seed))
        return build_trigger_url(builder.environment, builder.add_http_flow("Orders"))

    assert build_url(7) == build_url(7)
    assert build_url(7) != build_url(8)


async def test_second_turn_off_is_not_recorded(builder: Builder) -> None:
    """Turning off a flow that is off changes nothing."""
    flow, workflows = builder.add_http_flow("Orders"), build_fakes(builder.world).ports.workflows
    off = WorkflowUpdate(state=FlowState.OFF)
    before = len(builder.world.switches)

    for _ in range(2):
        environment = builder.environment.build_environment()
        await workflows.update(environment, flow.workflow_id, off, etag="*")

    assert len(builder.world.switches) == before + 1
