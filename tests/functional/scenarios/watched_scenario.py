"""A remediation under watch: what the originals' callers send must never be lost."""

from tests.fakes.invariants import watch
from tests.functional.scenarios.remediation_scenario import Story


async def planned(story: Story, **settings: object) -> None:
    """Link, opt in, watch and plan."""
    story.build.link()
    story.build.share_connections()
    story.world.traffic.beat(story.world)
    watch(story.world)
    await story.opt_in(**settings)
    await story.order()


def assert_nothing_lost(story: Story) -> None:
    """Let every system call once more, and hold all calls against what the originals did."""
    story.world.traffic.beat(story.world)
    assert story.world.violations == []
    assert story.world.traffic.lost == []
