"""Run scenarios to their end while a fault of `interrupted_effects.py` is injected into a write."""

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from inspect import isawaitable
from typing import Any

from local_cloud.tenant.core.profiles import Profile
from shared.domain.definitions.json_values import as_mapping
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.domain.plans.remediation import RemediationMode
from shared.errors import CmkflowError, ServiceUnavailable
from shared.services import Services
from shared.settings import OnOriginalEdited
from shared.use_cases import change_remediation
from shared.use_cases.change_solution_setting import (
    read_solution_setting_change,
    revert_solution_setting,
    turn_on_solution_setting,
)
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.crash import Killed, Plan, was_killed
from tests.fakes.world import World
from tests.functional.deleting.deletion_scenario import request_deletions
from tests.functional.planning.test_hidden_definitions import build_hidden_scenario
from tests.functional.preparing.prepare_scenario import PREPARE
from tests.functional.scenarios.firewall_scenario import build_guarded_scenario
from tests.functional.scenarios.remediation_scenario import Scenario, edit
from tests.property.interrupted import PREPARED
from tests.property.interrupted_effects import Fault, Striker, install_striker
from tests.property.test_remediation_invariants import (
    approve_plan,
    build_ingredients_scenario,
    check_invariants,
    repeat_change,
    repeat_until_done,
)

DAYS = timedelta(days=1)
RETRIES = 3


@dataclass(frozen=True, kw_only=True)
class StruckScenario:
    build: Callable[[], Any]
    ends: FlowJobState
    mode: RemediationMode = RemediationMode.APPLY
    #: It is rolled back at the end.
    is_undone: bool = True
    lasts: timedelta = 40 * DAYS
    #: The plan opens the firewall in its way.
    opens_firewalls: bool = False
    #: Folder of effects that it strikes even if an earlier scenario has.
    strikes_again: str = "none"
    #: What somebody does two days after the approval, at the end, and after the rollback.
    midway: Callable[[Scenario], Awaitable[object]] | None = None
    at_the_end: Callable[[Striker], Awaitable[object]] | None = None
    afterwards: Callable[[Striker], Awaitable[object]] | None = None


def _build_scenario(*ingredients: str) -> tuple[Scenario, list[str]]:
    return build_ingredients_scenario(list(ingredients), 7, Plan(), 0.0, Profile.DOCUMENTED), []


def _build_prepared(name: str) -> tuple[Scenario, list[str]]:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED, world=World(seed=7))
    flows = PREPARED[name](scenario)
    return scenario, [flow.workflow_id for flow in flows]


def _build_copied_again() -> tuple[Scenario, list[str]]:
    scenario, named = _build_scenario("app_setting")
    scenario.settings = scenario.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    return scenario, named


def _build_outside(*, has_row: bool) -> tuple[Scenario, list[str]]:
    """Return a scenario with a flow that is outside solutions."""
    scenario, _ = _build_scenario()
    flow = scenario.build.add_http_flow("Outside")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    scenario.build.add_app_setting_caller(flow)
    scenario.build.migrate()
    assumptions = scenario.world.assumptions
    assumptions.my_flows_have_rows = has_row
    assumptions.applications_activate = False
    return scenario, []


def _build_declared() -> tuple[Scenario, list[str]]:
    scenario, _ = _build_scenario()
    secret = "https://till.vault.azure.net/secrets/orders-url"
    scenario.build.add_declared_caller(scenario.build.add_http_flow("Orders"), secret=secret)
    scenario.build.migrate()
    return scenario, []


async def _remove_declared(scenario: Scenario) -> None:
    """Remove the declared callers, so that no job waits for their confirmation."""
    scenario.world.declared_callers.clear()


def _build_with_url_vault() -> tuple[Scenario, list[str]]:
    scenario, named = _build_scenario("app_setting", "two")
    flow = scenario.build.add_http_flow("Called by a policy")
    scenario.build.add_key_value_caller(flow)
    named_value = scenario.build.add_named_value_caller(flow)
    service, resources = named_value.partition("/namedValues/")[0], scenario.world.resources
    stored = resources[named_value.lower()]
    properties = {**as_mapping(stored["properties"]), "secret": False}
    resources[named_value.lower()] = {**stored, "properties": properties}
    scenario.world.traffic.beat(scenario.world)  # the plan finds the flow's URL in its runs
    vault = scenario.build.add_url_vault(*scenario.world.sites.values(), service)
    scenario.settings = scenario.settings.model_copy(update={"trigger_url_vault": vault})
    return scenario, named


def _build_hidden() -> tuple[Scenario, list[str]]:
    """Return a scenario with a flow whose definition only its co-owners can read."""
    scenario, _ = build_hidden_scenario()
    return scenario, []


async def _build_behind_a_firewall() -> tuple[Scenario, list[str]]:
    scenario = await build_guarded_scenario("network_security_group")
    scenario.build.share_connections()
    return scenario, []


def _build_long_name() -> tuple[Scenario, list[str]]:
    scenario, _ = _build_scenario()
    scenario.build.add_http_flow("N" * 120)
    scenario.build.migrate()
    return scenario, []


def _build_with_colleagues_connection() -> tuple[Scenario, list[str]]:
    scenario, _ = _build_scenario()
    flow = scenario.build.add_mail_flow("Mail")
    flow.in_solution = False
    colleague = scenario.world.add_user("Colleague")
    for connection in scenario.build.environment.connections.values():
        connection.owner_id = colleague.user_id
    scenario.build.share_connections()
    scenario.build.migrate()
    return scenario, []


async def _edit_originals(scenario: Scenario) -> None:
    for flow in list(scenario.world.list_flows()):
        if not flow.made_by_app:
            edit(flow)


async def _leave_co_ownership(scenario: Scenario) -> None:
    """Make the service account co-owner, as if an invocation had been killed during planning."""
    table, job = scenario.services.tables.environment_jobs, await scenario.read_environment_job()
    kept = await table.get(job.remediation_id, job.id)
    assert kept
    (flow,) = (one for one in scenario.world.list_flows() if not one.made_by_app)
    flow.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    names = (flow.flow_name,)
    await table.replace(kept, replace(kept.item, grants=Grants(active=names, past=names)))


async def _delete_originals(striker: Striker) -> None:
    scenario = striker.scenario
    await request_deletions(scenario)
    await scenario.run(DAYS)
    for _ in range(30):
        with suppress(ServiceUnavailable):
            try:
                await scenario.driver.call(delete_originals)
            except BaseException as error:
                if not was_killed(error):
                    raise
        await _let_time_pass(striker, timedelta(hours=1))


async def _change_solution_setting(striker: Striker) -> None:
    environment = striker.scenario.build.environment
    environment.creates_flows_in_solutions = None
    errors: list[BaseException] = []
    for request, value in ((turn_on_solution_setting, True), (revert_solution_setting, None)):
        order = partial(request, environment_id=environment.id, by="ada")
        errors += await _repeat_request(striker, order)
        assert environment.creates_flows_in_solutions is value
    change = await read_solution_setting_change(striker.scenario.services, environment.id)
    assert change
    assert not change.is_under_way
    assert bool(errors) is striker.has_struck  # nobody waits for a change that is not made


async def _repeat_request(
    striker: Striker, request: Callable[[Services], Awaitable[object]]
) -> list[BaseException]:
    """Repeat a request every hour until it succeeds. Return the errors before that."""
    errors: list[BaseException] = []
    for hour in range(48):
        striker.is_mended = striker.is_mended or hour > 24
        try:
            await striker.scenario.driver.call(request)
        except (CmkflowError, Killed) as error:
            errors.append(error)
        else:
            return errors
        await _let_time_pass(striker, timedelta(hours=1))
    raise AssertionError(errors[-1])


async def _run_daily_checks(striker: Striker) -> None:
    scenario = striker.scenario
    for job in (await scenario.read_jobs()).values():
        scenario.world.get_workflow(job.environment_id, job.copy.id).state = FlowState.ON
    for day in ("first", "second", "third"):
        await repeat_until_done(partial(scenario.driver.call, partial(run_daily_check, date=day)))
        await _let_time_pass(striker, DAYS)
        assert scenario.fakes.notices.told
        striker.is_mended = True
    copies = [flow for flow in scenario.world.list_flows() if flow.made_by_app]
    assert not any(flow.is_on for flow in copies)


RETIRED, BACK = FlowJobState.RETIRED, FlowJobState.PREPARED
STRUCK_SCENARIOS: dict[str, StruckScenario] = {
    "called": StruckScenario(
        build=partial(_build_scenario, "app_setting", "team", "v1"), ends=RETIRED
    ),
    "in flows": StruckScenario(
        build=partial(_build_scenario, "flow", "environment_variable"), ends=RETIRED
    ),
    "declared": StruckScenario(build=_build_declared, ends=RETIRED, midway=_remove_declared),
    "swapped": StruckScenario(
        build=partial(_build_scenario, "mail", "keyword", "off"), ends=RETIRED
    ),
    "family": StruckScenario(
        build=partial(_build_scenario, "family", "two in a secret"), ends=RETIRED
    ),
    "copied again": StruckScenario(build=_build_copied_again, ends=RETIRED, midway=_edit_originals),
    "outside": StruckScenario(build=partial(_build_outside, has_row=True), ends=RETIRED),
    "without a row": StruckScenario(build=partial(_build_outside, has_row=False), ends=RETIRED),
    "long name": StruckScenario(build=_build_long_name, ends=RETIRED),
    "of a colleague": StruckScenario(build=_build_with_colleagues_connection, ends=RETIRED),
    "hidden": StruckScenario(build=_build_hidden, ends=RETIRED, midway=_leave_co_ownership),
    "deleted": StruckScenario(
        build=partial(_build_outside, has_row=True),
        ends=RETIRED,
        at_the_end=_delete_originals,
        lasts=12 * DAYS,
    ),
    "behind a firewall": StruckScenario(
        build=_build_behind_a_firewall, ends=RETIRED, opens_firewalls=True
    ),
    "swept": StruckScenario(
        build=partial(_build_scenario, "app_setting"), ends=RETIRED, afterwards=_run_daily_checks
    ),
    "solution setting": StruckScenario(
        build=partial(_build_scenario, "app_setting"),
        ends=RETIRED,
        afterwards=_change_solution_setting,
    ),
    "referring": StruckScenario(
        build=_build_with_url_vault, ends=RETIRED, strikes_again="shared/steps/updating_callers/"
    ),
    "added": StruckScenario(
        build=partial(_build_prepared, "added together"), ends=BACK, mode=PREPARE
    ),
    "converted": StruckScenario(build=partial(_build_prepared, "both"), ends=BACK, mode=PREPARE),
}


async def run_scenario(case: StruckScenario, site: str = "", fault: Fault | None = None) -> Striker:
    built = case.build()
    scenario, named = await built if isawaitable(built) else built
    striker = Striker(scenario, site, fault)
    with install_striker(striker):
        repaired = frozenset(scenario.world.resources) if case.opens_firewalls else frozenset[str]()
        await scenario.opt_in(
            writable_firewalls=repaired, has_url_secrets_in_app_configuration=True
        )
        await repeat_until_done(lambda: scenario.order(case.mode, *named))
        await approve_plan(scenario)
        await _let_time_pass(striker, timedelta(hours=1))
        if not await scenario.read_jobs():
            return await _check_plan_without_a_job(striker)
        if case.midway:
            await _let_time_pass(striker, 2 * DAYS)
            await case.midway(scenario)
        await _run_to_the_end(striker, case.ends, case.lasts)
        if case.at_the_end:
            await case.at_the_end(striker)
        if case.is_undone:
            await repeat_change(scenario, change_remediation.roll_back)
            await _run_to_the_end(striker, FlowJobState.ROLLED_BACK, case.lasts)
        if case.afterwards:
            await case.afterwards(striker)
    check_invariants(scenario)
    assert scenario.world.traffic.events_handled_twice == []
    assert striker.wrong == []
    return striker


async def _check_plan_without_a_job(striker: Striker) -> Striker:
    plan = await striker.scenario.plan()
    assert plan
    assert all(item.message and item.fix for item in plan.values())
    striker.is_mended = True
    await _let_time_pass(striker, 2 * DAYS)
    check_invariants(striker.scenario)
    assert striker.wrong == []
    return striker


async def _run_to_the_end(striker: Striker, end: FlowJobState, lasts: timedelta) -> None:
    scenario = striker.scenario
    for _ in range(RETRIES):
        await _let_time_pass(striker, lasts)
        jobs = (await scenario.read_jobs()).values()
        if striker.fault and striker.fault.lasts and striker.has_struck and not striker.is_mended:
            _check_notification(striker, list(jobs), end)
            striker.is_mended = True
        if all(job.state is end for job in jobs):
            break
        assert not [job for job in jobs if job.state is FlowJobState.FAILED], "a defect"
        await repeat_change(scenario, change_remediation.retry)
    await _let_time_pass(striker, 2 * DAYS)
    ended = {
        job.display_name: (job.state, job.message) for job in (await scenario.read_jobs()).values()
    }
    assert {state for state, _ in ended.values()} == {end}, ended


def _check_notification(striker: Striker, jobs: list[Any], end: FlowJobState) -> None:
    scenario = striker.scenario
    if all(job.state is end for job in jobs) or scenario.fakes.notices.told:
        return
    asked = [job for job in jobs if job.state is FlowJobState.BLOCKED and job.fix]
    waiting = [job for job in jobs if job.state is FlowJobState.WAITING and job.message]
    assert asked or waiting, [(job.state, job.reason_code, job.message) for job in jobs]


async def _let_time_pass(striker: Striker, time: timedelta) -> None:
    """Let time pass, and turn off the kill switch if the fault turned it on."""
    scenario = striker.scenario
    until = scenario.world.clock.now() + time
    while scenario.world.clock.now() < until:
        await scenario.run(min(timedelta(hours=6), until - scenario.world.clock.now()))
        if striker.is_stopped:
            await striker.switch(is_on=False)


SCENARIOS: dict[str, Callable[..., Coroutine[Any, Any, Striker]]] = {
    name: partial(run_scenario, case) for name, case in STRUCK_SCENARIOS.items()
}
