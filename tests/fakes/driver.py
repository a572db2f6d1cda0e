"""Play the platform around the app: deliver due messages, advance the clock, kill and restart the
app's process.

After a kill, the services are built again on the same tenant, so that nothing remains in memory.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.errors import CmkflowError, TransientError
from shared.ports import Store
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.run_environment_job import run_environment_job_step
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.clock import START
from tests.fakes.crash import Plan, was_killed
from tests.fakes.messages import Delivered, Delivery
from tests.fakes.pause import Pause
from tests.fakes.ports import Fakes, Ports
from tests.fakes.services import build_fake_services

type UseCase = Callable[[Services, Delivered], Awaitable[object]]

MINUTE = timedelta(minutes=1)
#: This long after something went wrong leases have run out and overdue rows were seen.
SETTLES = timedelta(minutes=5)


class NeverEndsError(AssertionError):
    """Raised if messages keep coming although no time passes."""


async def _run_flow_job(services: Services, message: Delivered) -> None:
    body = message.body
    await run_flow_job_step(services, str(body["environment"]), str(body["job"]))


async def _run_environment_job(services: Services, message: Delivered) -> None:
    body = message.body
    await run_environment_job_step(services, str(body["remediation"]), str(body["job"]))


async def find_next_reminder(store: Store, now: datetime) -> datetime | None:
    """Return when the app's timer, which runs every minute, next has work to do, or None."""
    async for row in store.query("requestbudgets"):
        if row.key[0].isdigit():
            return now + MINUTE  # somebody stands in the line, and may be called up
    async for row in store.query("wakeups", "wake_up"):
        return datetime.fromisoformat(row.key.partition("~")[0])
    return None


USE_CASES: Mapping[str, UseCase] = {
    FLOW_JOBS: _run_flow_job,
    ENVIRONMENT_JOBS: _run_environment_job,
}


@dataclass(slots=True, kw_only=True)
class Driver:
    """Runs the app's use cases on fakes until no message or timer is due."""

    fakes: Fakes
    #: By queue.
    use_cases: Mapping[str, UseCase] = field(default_factory=lambda: USE_CASES)
    make: Callable[[Ports], Services] = build_fake_services
    #: Called whenever time has passed and after every delivery: traffic, ticks, checks.
    meanwhile: Callable[[], object] = lambda: None
    #: Longest time that passes without `meanwhile`.
    pace: timedelta = timedelta(hours=6)
    #: Strikes once; deliveries after that are not interrupted.
    plan: Plan = field(default_factory=Plan)
    #: Share of deliveries whose settlement is lost, so that the message comes again.
    unsettled: float = 0.0
    #: The app's own timer: every minute after something went wrong, else at every step of `pace`.
    timer: Callable[[Services], Awaitable[object]] = send_due_and_overdue_messages
    deliveries: int = 0
    #: More than the scenario delivers without time passing; a scenario that delivers more never
    #: ends.
    most_at_once: int = 1_000
    _restless_until: datetime = START
    _current: Services | None = None
    #: The process was started after the kill.
    _is_new: bool = False

    async def run(self, until: datetime) -> None:
        """Deliver every message that is due up to `until`, and advance the clock in between."""
        clock = self.fakes.world.clock
        at_once = 0
        while at_once < self.most_at_once:
            if await self._deliver():
                at_once += 1
                self.meanwhile()
            elif clock.now() >= until:
                return
            else:
                at_once = 0
                await self._pass_time(until)
        raise NeverEndsError(f"{at_once} deliveries at one moment and still more")

    async def _pass_time(self, until: datetime) -> None:
        clock = self.fakes.world.clock
        now = clock.now()
        step = MINUTE if now < self._restless_until else self.pace
        due = self.fakes.messages.find_next_due(*self.use_cases) or until
        reminded = max(await find_next_reminder(self.fakes.store, now) or until, now + MINUTE)
        wakes = self.plan.wakes_at if isinstance(self.plan, Pause) and self.plan.is_asleep else None
        clock.advance_to(min(due, reminded, until, now + step, wakes or until))
        if isinstance(self.plan, Pause) and wakes and wakes <= clock.now():
            await self._wake(self.plan)
        try:
            await self.plan.run(self.timer(self._provide_services()))
        except BaseException as error:
            if not (was_killed(error) or isinstance(error, TransientError)):
                raise
        defects = [one for one in self.fakes.notices.told if one.reason_code == Reason.ROW_SKIPPED]
        assert not defects, "a timer met a defect"
        self.meanwhile()

    async def call[T](self, use_case: Callable[[Services], Awaitable[T]]) -> T:
        """Run a use case that no message starts. The plan may interrupt it."""
        return await self.plan.run(use_case(self._provide_services()))

    async def _deliver(self) -> bool:
        """Deliver one message of any queue. Returns False if none is due."""
        world, messages = self.fakes.world, self.fakes.messages
        queues = list(self.use_cases)
        world.random.shuffle(queues)
        for queue in queues:
            services, use_case = self._provide_services(), self.use_cases[queue]

            async def handle(
                message: Delivered, services: Services = services, use_case: UseCase = use_case
            ) -> None:
                await self.plan.run(use_case(services, message))

            loses = self.unsettled > 0 and world.random.random() < self.unsettled
            try:
                outcome = await messages.deliver_next(queue, handle, loses_settlement=loses)
            except TransientError:
                outcome = Delivery.NOT_SETTLED  # the trigger failed: the message comes again
            if outcome is not Delivery.NOTHING_DUE:
                self.deliveries += 1
                if outcome is not Delivery.COMPLETED:
                    self._restless_until = world.clock.now() + SETTLES
                return True
        return False

    async def _wake(self, pause: Pause) -> None:
        """Let the paused process run to its end.

        Ignores the app's own errors, and raises any other.
        """
        error = await pause.wake()
        if error and not isinstance(error, CmkflowError):
            raise error
        self._restless_until = self.fakes.world.clock.now() + SETTLES
        self.meanwhile()

    def _provide_services(self) -> Services:
        if self._current is None or (self.plan.is_gone and not self._is_new):
            self._is_new = self.plan.is_gone
            ports = self.fakes.ports
            self._current = self.make(ports if self._is_new else ports.wrap_with_plan(self.plan))
        return self._current
