"""Test invariants with whole remediations on fakes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_cloud.tenant.core.profiles import Profile
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked, ServiceUnavailable
from shared.services import Services
from shared.settings import OnOriginalEdited
from shared.use_cases import change_remediation
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.builder import Builder
from tests.fakes.crash import Moment, Plan, was_killed
from tests.fakes.definitions import find_lineage
from tests.fakes.driver import Driver
from tests.fakes.invariants import find_flows_stopped_too_early, find_signatures_in_store, watch
from tests.fakes.ports import build_fakes
from tests.fakes.sharing import is_co_owned
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown
from tests.kinds.cases import MOVED_KINDS, load_caller_case
from tests.property.examples import count_examples

ENDED = {
    FlowJobState.RETIRED,
    FlowJobState.BLOCKED,
    FlowJobState.FAILED,
    FlowJobState.CANCELLED,
    FlowJobState.ROLLED_BACK,
}
QUIET = timedelta(days=7)

type Undo = Callable[[Services, str], Awaitable[object]]


def add_called(build: Builder, *, kind: str) -> None:
    load_caller_case(kind).add(build, build.add_http_flow(f"Called by {kind}"))


#: What a tenant is made of; each adds flows and those who call them.
INGREDIENTS: dict[str, Callable[[Builder], object]] = {
    **{kind: partial(add_called, kind=kind) for kind in MOVED_KINDS},
    "keyword": lambda b: b.add_keyword_flow("Keyword"),
    "family": lambda b: b.add_family("Billing"),
    "mail": lambda b: b.add_app_setting_caller(b.add_mail_flow("Mail"), setting="MAIL"),
    "off": lambda b: b.add_off_flow("Off"),
    "v1": lambda b: b.add_power_apps_v1_flow("App"),
    "team": lambda b: b.add_app_setting_caller(b.add_team_flow("Team"), setting="TEAM_URL"),
    "two": lambda b: [
        b.add_app_setting_caller(b.add_http_flow("A"), setting="A"),
        b.add_app_setting_caller(b.add_http_flow("B"), setting="B"),
    ],
    "two in a secret": lambda b: b.add_secret_caller(
        b.add_http_flow("C"), b.add_http_flow("D"), name="two"
    ),
    "two in a flow": lambda b: b.add_flow_caller(
        b.add_http_flow("E"), b.add_http_flow("F"), name="Posts"
    ),
}


def edit_definition(scenario: Scenario, random: Random, *, copies: bool) -> None:
    flows = [
        flow
        for flow in scenario.world.list_flows()
        if flow.made_by_app is copies and "Lineage" in flow.client_data
    ]
    if flows:
        flow = random.choice(flows)
        extra = f'"Extra_{random.randrange(1_000)}": {{"type": "Compose", "inputs": 1}}, '
        flow.client_data = flow.client_data.replace('"Lineage": {', f'{extra}"Lineage": {{', 1)
        flow.version += 1


def edit_settings(scenario: Scenario, random: Random) -> None:
    for site in scenario.world.sites.values():
        site.settings["DEPLOYED"] = str(random.randrange(1_000))


def find_copy(scenario: Scenario, original: FakeFlow) -> FakeFlow | None:
    lineage = find_lineage(original.client_data)
    return next(
        (
            flow
            for flow in scenario.world.list_flows()
            if flow.made_by_app and find_lineage(flow.client_data) == lineage
        ),
        None,
    )


def restore_settings(scenario: Scenario, _: Random) -> None:
    """Write the original's URL to the apps again, as a deployment may do."""
    for flow in list(scenario.world.list_flows()):
        original = scenario.build.get_trigger_url(flow)
        copy = find_copy(scenario, flow)
        if flow.made_by_app or copy is None or not flow.is_on:
            continue
        for site in scenario.world.sites.values():
            new = scenario.build.get_trigger_url(copy)
            for name, value in site.settings.items():
                site.settings[name] = value.replace(new, original)


#: What somebody else may do at any moment.
EDITS = {
    "original": lambda scenario, random: edit_definition(scenario, random, copies=False),
    "copy": lambda scenario, random: edit_definition(scenario, random, copies=True),
    "settings": edit_settings,
    "deployment": restore_settings,
}

tenants = st.lists(st.sampled_from(sorted(INGREDIENTS)), min_size=1, max_size=3, unique=True)
plans = st.builds(
    lambda at, moment: Plan(at=at, moment=moment),
    st.integers(min_value=1, max_value=400),
    st.sampled_from(Moment),
)


def build_ingredients_scenario(
    ingredients: list[str],
    seed: int,
    plan: Plan,
    unsettled: float,
    profile: Profile = Profile.DOCUMENTED,
) -> Scenario:
    """`unsettled` is the proportion of the messages that come twice."""
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED, world=World(seed=seed), profile=profile)
    for name in ingredients:
        INGREDIENTS[name](scenario.build)
    scenario.build.apply_key()
    scenario.build.share_connections()
    scenario.fakes = build_fakes(scenario.world, order=Random(seed))  # noqa: S311 -- repeatable
    scenario.driver = Driver(
        fakes=scenario.fakes, make=scenario.make, plan=plan, unsettled=unsettled
    )
    scenario.world.traffic.beat(scenario.world)
    watch(scenario.world)
    return scenario


async def repeat_until_done(order: Callable[[], Awaitable[object]]) -> None:
    try:
        await order()
    except BaseException as error:
        if not (was_killed(error) or isinstance(error, ServiceUnavailable)):
            raise
        await order()


async def repeat_change(
    scenario: Scenario, change: Callable[[Services, str], Awaitable[object]]
) -> None:
    """Apply a change to the remediation, and apply it again if that fails."""
    await repeat_until_done(
        lambda: scenario.driver.call(lambda s: change(s, scenario.remediation.id))
    )


async def approve_plan(scenario: Scenario) -> None:
    with suppress(JobBlocked):
        await repeat_change(scenario, approve_shown)


async def settle(scenario: Scenario) -> None:
    """Let 80 days pass, and run the timer every two days."""
    for _ in range(40):
        await scenario.run(timedelta(days=2))
        await repeat_until_done(lambda: scenario.driver.call(send_due_and_overdue_messages))


def check_invariants(scenario: Scenario) -> None:
    assert scenario.world.violations == []
    assert find_flows_stopped_too_early(scenario.world, QUIET) == []
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert [
        flow.name for flow in scenario.world.list_flows() if is_co_owned(scenario.world, flow)
    ] == []
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []


@settings(max_examples=count_examples(40))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    unsettled=st.sampled_from([0.0, 0.3, 1.0]),
    profile=st.sampled_from(Profile),
)
def test_killed_process_and_duplicate_messages_do_not_change_the_result(
    ingredients: list[str], seed: int, plan: Plan, unsettled: float, profile: Profile
) -> None:
    async def play() -> None:
        scenario = build_ingredients_scenario(ingredients, seed, plan, min(unsettled, 0.6), profile)
        await scenario.opt_in()
        await repeat_until_done(scenario.order)
        await approve_plan(scenario)
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_jobs()
        assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert scenario.world.traffic.events_handled_twice == []

    asyncio.run(play())


@settings(max_examples=count_examples(30))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    hours=st.integers(0, 24 * 20),
    undo=st.sampled_from([change_remediation.cancel, change_remediation.roll_back]),
    profile=st.sampled_from(Profile),
)
@example(
    ingredients=["app_setting", "mail", "off"],
    seed=1,
    plan=Plan(at=1, moment=Moment.BEFORE),
    hours=0,
    undo=change_remediation.roll_back,
    profile=Profile.ADVERSARIAL,  # renamed a moment ago, and reads show the name from before
)
def test_rollback_at_any_moment_reverts_everything(
    ingredients: list[str], seed: int, plan: Plan, hours: int, undo: Undo, profile: Profile
) -> None:
    async def play() -> None:
        scenario = build_ingredients_scenario(ingredients, seed, plan, 0.2, profile)
        before = take_snapshot(scenario.world)
        await scenario.opt_in()
        await repeat_until_done(scenario.order)
        await approve_plan(scenario)
        await scenario.run(timedelta(hours=hours))
        await repeat_change(scenario, undo)
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_jobs()
        ended = {FlowJobState.ROLLED_BACK, FlowJobState.CANCELLED}
        if undo is change_remediation.cancel and FlowJobState.RETIRED in {
            job.state for job in jobs.values()
        }:
            return  # what was over by then is over
        assert {job.state for job in jobs.values()} <= ended, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert find_differences(before, scenario.world) == []

    asyncio.run(play())


@settings(max_examples=count_examples(40))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    at=st.integers(min_value=1, max_value=400),
    moment=st.sampled_from(Moment),
    unsettled=st.sampled_from([0.0, 0.3]),
    profile=st.sampled_from(Profile),
)
@example(
    ingredients=["app_setting", "two", "keyword"],
    seed=0,
    at=1,
    moment=Moment.BEFORE,
    unsettled=0.0,
    profile=Profile.ADVERSARIAL,  # a list does not show yet a reference that the job has made
)
@example(
    ingredients=["mail", "v1", "app_setting"],
    seed=0,
    at=1,
    moment=Moment.BEFORE,
    unsettled=0.0,
    profile=Profile.ADVERSARIAL,  # the plan has lent the flow, and it is listed so for a while
)
def test_failed_request_does_not_change_the_result_with_automatic_approval(
    ingredients: list[str],
    seed: int,
    at: int,
    moment: Moment,
    unsettled: float,
    profile: Profile,
) -> None:
    """The failed request may have taken effect."""

    async def play() -> None:
        plan = Plan(at=at, moment=moment, failure=lambda: ServiceUnavailable("no answer"))
        scenario = build_ingredients_scenario(ingredients, seed, plan, unsettled, profile)
        scenario.mode = ApprovalPolicy.AUTOMATIC
        await scenario.opt_in()
        await repeat_until_done(scenario.order)
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_jobs()
        assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert scenario.world.traffic.events_handled_twice == []

    asyncio.run(play())


edits = st.lists(
    st.tuples(st.integers(0, 24 * 12 * 60), st.sampled_from(sorted(EDITS)), st.integers(0, 10_000)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=count_examples(60))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    edits=edits,
    undo=st.booleans(),
    on_drift=st.sampled_from(OnOriginalEdited),
    profile=st.sampled_from(Profile),
)
def test_manual_edits_at_any_moment_lose_no_call(
    ingredients: list[str],
    seed: int,
    plan: Plan,
    edits: list[tuple[int, str, int]],
    undo: bool,
    on_drift: OnOriginalEdited,
    profile: Profile,
) -> None:
    async def play() -> None:
        scenario = build_ingredients_scenario(ingredients, seed, plan, 0.2, profile)
        scenario.settings = scenario.settings.model_copy(update={"on_original_edited": on_drift})
        await scenario.opt_in()
        await repeat_until_done(scenario.order)
        await approve_plan(scenario)
        passed = 0
        for minute, edit, number in sorted(edits):
            await scenario.run(timedelta(minutes=minute - passed))
            passed = minute
            EDITS[edit](scenario, Random(number))  # noqa: S311 -- repeatable
        for _ in range(3):
            await settle(scenario)
            await approve_plan(scenario)  # what was edited before it was dispatched
            await repeat_change(scenario, change_remediation.retry)
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_jobs()
        assert {job.state for job in jobs.values()} <= ENDED, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert all(
            job.fix
            for job in jobs.values()
            if job.state in {FlowJobState.BLOCKED, FlowJobState.FAILED}
        )
        if undo:
            await repeat_change(scenario, change_remediation.roll_back)
            await settle(scenario)
            check_invariants(scenario)

    asyncio.run(play())
