from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import CmkflowError, ServiceUnavailable
from shared.services import Services
from shared.use_cases.notify import notify
from tests.functional.scenarios.remediation_scenario import Scenario

#: How long flows that block for one reason are gathered.
TOGETHER = timedelta(minutes=5)
SIGNED = "https://h.example/workflows/1/triggers/manual/paths/invoke?sig=canary-canary-canary-0"


@dataclass
class RecordingChannel:
    """A channel that records notifications, and can fail before or after it has recorded one."""

    name: str = "heard"
    told: list[Notification] = field(default_factory=list)
    is_out: bool = False
    #: It records the notification and then raises, as if the answer was lost.
    is_mute: bool = False
    says: CmkflowError = field(default_factory=lambda: ServiceUnavailable(f"no answer of {SIGNED}"))
    tries: int = 0

    async def send(self, notification: Notification) -> None:
        self.tries += 1
        if not self.is_out:
            self.told.append(notification)
        if self.is_out or self.is_mute:
            raise self.says

    @property
    def causes(self) -> list[PendingActionKind]:
        return [one.pending_action.kind for one in self.told]


async def build_notified_scenario() -> Scenario:
    scenario = Scenario()
    for title in ("Orders", "Returns", "Stock"):
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.opt_in()
    return scenario


def build_services_with(scenario: Scenario, *channels: RecordingChannel) -> Services:
    settings = scenario.settings.model_copy(update={"website_host": "app.example"})
    return replace(scenario.services, channels=channels, settings=settings)


async def notify_after(
    scenario: Scenario, *channels: RecordingChannel, after: timedelta = timedelta(0)
) -> int:
    """Advance the clock, then send the due notifications. Return how many were accepted."""
    scenario.world.clock.advance(after)
    return await notify(build_services_with(scenario, *channels))


async def block_flows(scenario: Scenario, *titles: str) -> None:
    for title in titles:
        await scenario.block_flow(title, message=f"{title} {SIGNED}")


async def run_to_no_call_period(scenario: Scenario) -> None:
    await scenario.order()
    await scenario.approve(run=timedelta(hours=6))
