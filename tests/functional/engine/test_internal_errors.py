"""Test jobs whose invocations raise internal errors or are killed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from functions import health_api
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.crash import Killed
from tests.fakes.flow_pages import SIZE
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario

#: The default of `CMK_INTERNAL_ERROR_MAX_ATTEMPTS`.
TRIES = 5


type Error = Callable[[], BaseException | None]


class _Raising:
    """A wrapper of a port in which one method raises what `error` returns, unless that is None."""

    def __init__(
        self, port: object, method: str, error: Callable[[], BaseException | None]
    ) -> None:
        self._port = port
        self._method = method
        self._error = error
        self.raised = 0

    def __getattr__(self, name: str) -> Any:
        if name == self._method and (error := self._error()) is not None:
            self.raised += 1
            raise error
        return getattr(self._port, name)


def break_method(scenario: Scenario, port: str, method: str, error: Error) -> _Raising:
    """From now on, let a method of a port raise what `error` returns."""
    raising = _Raising(getattr(scenario.fakes.ports, port), method, error)
    scenario.around = lambda ports: replace(ports, **{port: cast("Any", raising)})
    scenario.renew()
    return raising


async def start_and_run(scenario: Scenario, time: timedelta) -> None:
    """Start a remediation if none is started, and let time pass. The message of a failed invocation
    is received again.
    """
    if not hasattr(scenario, "remediation"):
        await scenario.order(run=None)
    until = scenario.world.clock.now() + time
    while scenario.world.clock.now() < until:
        try:
            await scenario.driver.run(until)
        except (ZeroDivisionError, RuntimeError):  # RuntimeError: with its secrets redacted
            continue


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.add_keyword_flow("Keyword")
    scenario.driver.use_cases = dict(TRIGGERS)
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.opt_in()
    return scenario


async def test_job_fails_after_five_internal_errors_in_a_step(scenario: Scenario) -> None:
    raising = break_method(scenario, "app_settings", "write", lambda: ZeroDivisionError("sig=hush"))

    await start_and_run(scenario, timedelta(days=30))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.FAILED, "internal_error")
    assert job.message.startswith("Orders: ZeroDivisionError at ")
    assert "hush" not in str(job)
    assert raising.raised == TRIES
    assert (await scenario.read_job("Keyword")).state is FlowJobState.RETIRED
    assert scenario.fakes.messages.list_dead_letters(FLOW_JOBS) == []
    (told,) = scenario.fakes.notices.told
    assert (told.reason_code, told.row[2], told.message) == (
        Reason.INTERNAL_ERROR,
        job.id,
        job.message,
    )


async def test_health_counts_a_failed_job_until_it_is_retried(scenario: Scenario) -> None:
    mended: list[bool] = []
    break_method(scenario, "app_settings", "write", lambda: None if mended else ZeroDivisionError())
    await start_and_run(scenario, timedelta(days=1))
    provide(scenario.services)
    before = (await call(health_api.show_health)).document["alert_counts"]
    mended.append(True)

    await change_remediation.retry(scenario.services, scenario.remediation.id)
    await send_due_and_overdue_messages(scenario.services)
    after = (await call(health_api.show_health)).document["alert_counts"]
    await start_and_run(scenario, timedelta(days=30))

    assert before == {Reason.INTERNAL_ERROR: 1}
    assert after == {}
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_environment_job_fails_after_five_internal_errors(scenario: Scenario) -> None:
    mended: list[bool] = []
    raising = break_method(
        scenario,
        "flow_reports",
        "read_microsoft_key_flows",
        lambda: None if mended else ZeroDivisionError(),
    )
    await start_and_run(scenario, timedelta(days=1))

    job = await scenario.read_environment_job()
    assert (job.state, job.reason_code, raising.raised) == (
        EnvironmentJobState.FAILED,
        Reason.INTERNAL_ERROR,
        TRIES,
    )
    assert scenario.fakes.messages.list_dead_letters(ENVIRONMENT_JOBS) == []

    mended.append(True)
    await change_remediation.retry(scenario.services, scenario.remediation.id)
    await start_and_run(scenario, timedelta(days=30))

    assert {one.state for one in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}


async def test_job_with_internal_errors_in_a_cutover_turns_the_original_on(
    scenario: Scenario,
) -> None:
    left = iter(range(2 * TRIES))
    flows = {flow.name: flow for flow in scenario.world.list_flows()}

    def fail_while_off() -> BaseException | None:
        is_off = flows["Keyword"].state is FlowState.OFF
        return ZeroDivisionError() if is_off and next(left, None) is not None else None

    break_method(scenario, "workflows", "update", fail_while_off)
    await start_and_run(scenario, timedelta(days=30))

    job = await scenario.read_job("Keyword")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.INTERNAL_ERROR)
    assert "ZeroDivisionError at" in job.message
    assert flows["Keyword"].state is FlowState.ON


@pytest.mark.parametrize(
    ("deaths", "state"),
    [(6, FlowJobState.RETIRED), (7, FlowJobState.FAILED), (999, FlowJobState.FAILED)],
)
async def test_job_fails_after_repeatedly_killed_invocations(
    scenario: Scenario, deaths: int, state: FlowJobState
) -> None:
    left = iter(range(deaths))
    break_method(
        scenario, "app_settings", "write", lambda: None if next(left, None) is None else Killed()
    )

    await start_and_run(scenario, timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is state
    assert len(scenario.fakes.notices.told) == (state is FlowJobState.FAILED)


async def test_job_survives_killed_invocations_that_store_a_change(scenario: Scenario) -> None:
    for number in range(12):
        orders = next(flow for flow in scenario.world.list_flows() if flow.name == "Orders")
        scenario.build.add_app_setting_caller(orders, site=f"site-{number}", setting="URL")
    calls = iter(range(1000))
    break_method(scenario, "app_settings", "write", lambda: Killed() if next(calls) % 2 else None)

    await start_and_run(scenario, timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert scenario.fakes.notices.told == []


async def test_discovery_survives_killed_invocations_that_store_a_page(scenario: Scenario) -> None:
    """A stored page counts as progress, although the row of the job does not change."""
    for number in range(8 * SIZE):
        scenario.build.add_http_flow(f"Flow {number}")
    calls = iter(range(1000))
    break_method(
        scenario, "flow_pages", "read_workflows", lambda: Killed() if next(calls) % 2 else None
    )

    await start_and_run(scenario, timedelta(hours=1))

    assert (await scenario.read_environment_job()).state is EnvironmentJobState.RUNNING_FLOW_JOBS
    assert next(calls) > 2 * TRIES
    assert scenario.fakes.notices.told == []
