import pytest

from shared.domain.callers.caller import CallerContent
from shared.domain.callers.caller_edit import replace_references
from shared.errors import Conflict
from tests.fakes.builder import Builder
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_kinds
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World
from tests.functional.callers.called_tenant import write_caller
from tests.kinds.cases import MOVED_KINDS, load_caller_case


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("kind", MOVED_KINDS)
async def test_repeated_write_completes_the_write_of_a_killed_process(
    kind: str, moment: Moment
) -> None:
    at = 0
    struck = True
    while struck:
        at += 1
        plan = Plan(at=at, moment=moment)

        copy = await _update_after_a_crash(kind, plan)

        assert len(copy.runs) == 1, f"killed {moment} call {at}"
        struck = plan.has_struck


async def _update_after_a_crash(kind: str, plan: Plan) -> FakeFlow:
    """Write a caller with this fault plan, and write it again if the process was killed. Return the
    copy.
    """
    world = World()
    builder = Builder(world)
    original, copy = builder.add_http_flow("Original"), builder.add_http_flow("Copy")
    load_caller_case(kind).add(builder, original)
    ports = build_fakes(world).ports
    whole = build_kinds(ports)[kind]
    environments = await ports.environments.list()
    [caller] = [caller async for caller in whole.find(environments)]
    urls = {original.trigger_url_id: builder.get_trigger_url(copy)}

    try:
        old = await whole.read(caller)
        text = replace_references(old.text, is_json=whole.is_json, urls=urls, flow_ids={}).text
        dying = ports.wrap_with_plan(plan)
        new = CallerContent(text=text, etag=old.etag)
        await write_caller(dying, build_kinds(dying)[kind], caller, new)
    except Killed:
        value = await whole.read(caller)
        text = replace_references(value.text, is_json=whole.is_json, urls=urls, flow_ids={}).text
        await write_caller(ports, whole, caller, CallerContent(text=text, etag=value.etag))

    world.traffic.beat(world)
    assert world.traffic.lost_calls == []
    assert original.runs == []
    return copy


async def test_second_writer_of_a_setting_gets_a_conflict() -> None:
    world = World()
    builder = Builder(world)
    builder.add_app_setting_caller(builder.add_http_flow("Original"))
    kind = build_kinds(build_fakes(world).ports)["app_setting"]
    [caller] = [caller async for caller in kind.find([])]
    value = await kind.read(caller)

    await kind.write(caller, CallerContent(text="first", etag=value.etag))

    with pytest.raises(Conflict):
        await kind.write(caller, CallerContent(text="second", etag=value.etag))


async def test_setting_is_not_written_if_another_setting_has_changed() -> None:
    """The write replaces all settings."""
    world = World()
    builder = Builder(world)
    site = builder.add_app_setting_caller(builder.add_http_flow("Original"))
    kind = build_kinds(build_fakes(world).ports)["app_setting"]
    [caller] = [caller async for caller in kind.find([])]
    value = await kind.read(caller)
    site.settings["TIMEOUT"] = "30"

    with pytest.raises(Conflict):
        await kind.write(caller, CallerContent(text="new", etag=value.etag))
    assert site.restarts == 0
