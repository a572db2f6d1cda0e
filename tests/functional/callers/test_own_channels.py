"""A channel by which the app tells people may itself be a flow that gets a new address."""

from datetime import timedelta
from typing import Any

import pytest

from shared.use_cases.assess import assess
from tests.functional.stories.remediation_story import Story
from tests.twins.tenant import TwinFlow, TwinRun


def seen(story: Story, flow: TwinFlow) -> None:
    """Let a run show the id in the flow's trigger URL."""
    now = story.world.clock.now()
    run = TwinRun(run_id="r", started=now, ends=now, trigger_url_id=flow.trigger_url_id)
    flow.runs.append(run)


@pytest.mark.parametrize("setting", ["webhook", "teams_webhook"])
async def test_the_flow_behind_a_channel_is_named_before_it_gets_a_new_address(
    setting: str,
) -> None:
    """The assessment and the plan say which setting has to change, and hold no signature of it."""
    story = Story()
    channel, other = story.build.http_flow("Post to a channel"), story.build.http_flow("Orders")
    story.build.link()
    for flow in (channel, other):
        seen(story, flow)
    address: dict[str, Any] = {setting: story.build.url_of(channel)}
    story.settings = story.settings.model_copy(update=address)

    found = await assess(story.services, story.build.environment.id)
    await story.opt_in()
    await story.order()
    plan = await story.plan()

    label = f"setting CMK_{setting.upper()} of this app"
    assessed = {flow.display_name: flow.callers for flow in found.flows}
    (caller,) = assessed["Post to a channel"]
    (planned,) = plan["Post to a channel"].callers
    for one in (caller, planned):
        assert (one.kind, one.label) == ("own_channel", label)
        assert "before the original is retired" in one.manual
    assert not assessed["Orders"]
    assert not plan["Orders"].callers
    assert not any(label in write for write in plan["Post to a channel"].writes)
    assert "sig=" not in repr((caller, planned))


async def test_a_channel_that_is_no_flow_is_nobodys_caller() -> None:
    """A webhook of another system, and a flow whose URL nobody has seen yet."""
    story = Story()
    flow = story.build.http_flow("Orders")
    story.build.link()
    story.world.clock.advance(timedelta(days=1))
    address = {"webhook": "https://hooks.example/in", "teams_webhook": story.build.url_of(flow)}
    story.settings = story.settings.model_copy(update=address)

    found = await assess(story.services, story.build.environment.id)

    (assessed,) = found.flows
    assert assessed.callers == ()
    assert "not known" in assessed.callers_gap
