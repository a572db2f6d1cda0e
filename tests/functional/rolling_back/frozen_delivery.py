"""A remediation of which one delivery is frozen before a call, and wakes later."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes.driver import Driver
from tests.fakes.pause import PauseBefore
from tests.functional.scenarios.remediation_scenario import Story

MINUTE = timedelta(minutes=1)


class AsleepError(Exception):
    """The process is frozen."""


def make_story(build: Callable[[Story], object], **settings: object) -> Story:
    """Return a tenant whose callers are quiet after an hour, with these settings."""
    changed = {"no_call_period": 60 * MINUTE, **settings}
    story = Story(settings=Story().settings.model_copy(update=changed))
    build(story)
    story.build.link()
    story.build.share_connections()
    return story


async def freeze(
    story: Story, call: str, number: int = 1, *, sleeps: timedelta = 9 * MINUTE
) -> None:
    """Remediate until the process is frozen before this call."""
    pause = PauseBefore(call=call, number=number, sleeps=sleeps, clock=story.world.clock)
    story.driver = Driver(twins=story.twins, make=story.make, plan=pause)

    def look() -> None:
        if pause.is_asleep:
            raise AsleepError

    await story.opt_in()
    await story.order()
    story.driver.meanwhile = look
    with pytest.raises(AsleepError):
        await story.approve()
    story.driver.meanwhile = list
