"""The stories of `struck_effects.py`, each played to its end whatever strikes it."""

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from inspect import isawaitable
from typing import Any

from local_cloud.tenant.core.profiles import Profile
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import RemediationMode
from shared.errors import ServiceUnavailable
from shared.settings import OnOriginalEdited
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.crash import Plan, was_killed
from tests.fakes.test_world import World
from tests.functional.actions.test_repair_network import guarded
from tests.functional.deleting.deletion_story import order
from tests.functional.planning.test_hidden_definitions import hidden_story
from tests.functional.preparing.prepare_story import PREPARE
from tests.functional.scenarios.remediation_scenario import Story, edit
from tests.property.interrupted import PREPARED
from tests.property.struck_effects import Fault, Striker, watched
from tests.property.test_remediation_invariants import (
    approve,
    check,
    make_story,
    until_done,
)

DAYS = timedelta(days=1)
RETRIES = 3


@dataclass(frozen=True, kw_only=True)
class Told:
    """A story: how its tenant is built, and how it ends."""

    build: Callable[[], Any]
    ends: FlowJobState
    mode: RemediationMode = RemediationMode.APPLY
    #: It is rolled back at the end.
    is_undone: bool = True
    lasts: timedelta = 40 * DAYS
    #: The plan opens the firewall in its way.
    opens_firewalls: bool = False
    #: What somebody does two days after the approval, at the end, and after the rollback.
    midway: Callable[[Story], Awaitable[object]] | None = None
    at_the_end: Callable[[Striker], Awaitable[object]] | None = None
    afterwards: Callable[[Striker], Awaitable[object]] | None = None


def _of(*ingredients: str) -> tuple[Story, list[str]]:
    return make_story(list(ingredients), 7, Plan(), 0.0, Profile.DOCUMENTED), []


def _prepared(name: str) -> tuple[Story, list[str]]:
    story = Story(mode=ApprovalPolicy.REQUIRED, world=World(seed=7))
    flows = PREPARED[name](story)
    return story, [flow.workflow_id for flow in flows]


def _copied_again() -> tuple[Story, list[str]]:
    """Return a flow that is copied again when somebody edits it."""
    story, named = _of("app_setting")
    story.settings = story.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    return story, named


def _outside(*, has_row: bool) -> tuple[Story, list[str]]:
    """Return a flow outside solutions that no application may turn on."""
    story, _ = _of()
    flow = story.build.http_flow("Outside")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    story.build.app_setting_caller(flow)
    story.build.migrate()
    assumptions = story.world.assumptions
    assumptions.my_flows_have_rows = has_row
    assumptions.applications_activate = False
    return story, []


def _hidden() -> tuple[Story, list[str]]:
    """Return a flow whose definition the platform does not show to the app."""
    story, _ = hidden_story()
    return story, []


async def _behind_a_firewall() -> tuple[Story, list[str]]:
    """Return a flow that calls a host whose firewall lacks the new addresses."""
    story = await guarded("network_security_group")
    story.build.share_connections()
    return story, []


def _long_name() -> tuple[Story, list[str]]:
    """Return a flow from the time when names could be longer."""
    story, _ = _of()
    story.build.http_flow("N" * 120)
    story.build.migrate()
    return story, []


def _of_a_colleague() -> tuple[Story, list[str]]:
    """Return a flow outside solutions over a connection that only the app may name."""
    story, _ = _of()
    flow = story.build.mail_flow("Mail")
    flow.in_solution = False
    colleague = story.world.add_user("Colleague")
    for connection in story.build.environment.connections.values():
        connection.owner_id = colleague.user_id
    story.build.share_connections()
    story.build.migrate()
    return story, []


async def _edit(story: Story) -> None:
    """Let the owner of each original save it with one more step."""
    for flow in list(story.world.flows()):
        if not flow.made_by_app:
            edit(flow)


async def _lend_for_the_plan(story: Story) -> None:
    """Leave a loan of the plan behind, as a delivery that died does."""
    table, job = story.services.tables.environment_jobs, await story.environment_job()
    kept = await table.get(job.remediation_id, job.id)
    assert kept
    (flow,) = (one for one in story.world.flows() if not one.made_by_app)
    flow.co_owners[story.world.operator.entra_id] = "CanEdit"
    lent = (flow.flow_name,)
    await table.replace(kept, replace(kept.item, active_grants=lent, lent=lent))


async def _delete(striker: Striker) -> None:
    """Delete the retired originals at their date."""
    story = striker.story
    await order(story)
    await story.run(DAYS)
    for _ in range(30):
        with suppress(ServiceUnavailable):
            try:
                await story.driver.call(delete_originals)
            except BaseException as error:
                if not was_killed(error):
                    raise
        await _settled(striker, timedelta(hours=1))


async def _sweep(striker: Striker) -> None:
    """Turn the copies on that nobody wants, and look at the environment three days in a row."""
    story = striker.story
    for job in (await story.jobs()).values():
        story.world.workflow(job.environment_id, job.copy_id).state = FlowState.ON
    for day in ("first", "second", "third"):
        await until_done(story, partial(story.driver.call, partial(run_daily_check, date=day)))
        await _settled(striker, DAYS)
        assert story.twins.notices.told
        striker.is_mended = True
    copies = [flow for flow in story.world.flows() if flow.made_by_app]
    assert not any(flow.is_on for flow in copies)


RETIRED, BACK = FlowJobState.RETIRED, FlowJobState.PREPARED
TOLD: dict[str, Told] = {
    "called": Told(build=partial(_of, "app_setting", "team", "v1"), ends=RETIRED),
    "in flows": Told(build=partial(_of, "flow", "environment_variable"), ends=RETIRED),
    "swapped": Told(build=partial(_of, "mail", "keyword", "off"), ends=RETIRED),
    "family": Told(build=partial(_of, "family", "two in a secret"), ends=RETIRED),
    "copied again": Told(build=_copied_again, ends=RETIRED, midway=_edit),
    "outside": Told(build=partial(_outside, has_row=True), ends=RETIRED),
    "without a row": Told(build=partial(_outside, has_row=False), ends=RETIRED),
    "long name": Told(build=_long_name, ends=RETIRED),
    "of a colleague": Told(build=_of_a_colleague, ends=RETIRED),
    "hidden": Told(build=_hidden, ends=RETIRED, midway=_lend_for_the_plan),
    "deleted": Told(
        build=partial(_outside, has_row=True), ends=RETIRED, at_the_end=_delete, lasts=12 * DAYS
    ),
    "behind a firewall": Told(build=_behind_a_firewall, ends=RETIRED, opens_firewalls=True),
    "swept": Told(build=partial(_of, "app_setting"), ends=RETIRED, afterwards=_sweep),
    "added": Told(build=partial(_prepared, "added together"), ends=BACK, mode=PREPARE),
    "converted": Told(build=partial(_prepared, "both"), ends=BACK, mode=PREPARE),
}


async def play(told: Told, site: str = "", fault: Fault | None = None) -> Striker:
    """Play a story; what a person is asked to do is done, and retried. Raises what is wrong."""
    built = told.build()
    story, named = await built if isawaitable(built) else built
    striker = Striker(story, site, fault)
    with watched(striker):
        repaired = frozenset(story.world.resources) if told.opens_firewalls else frozenset[str]()
        await story.opt_in(repaired_resources=repaired)
        await until_done(story, lambda: story.order(told.mode, *named))
        await approve(story)
        await _settled(striker, timedelta(hours=1))
        if not await story.jobs():
            return await _explained(striker)
        if told.midway:
            await _settled(striker, 2 * DAYS)
            await told.midway(story)
        await _to_its_end(striker, told.ends, told.lasts)
        if told.at_the_end:
            await told.at_the_end(striker)
        if told.is_undone:
            await until_done(
                story,
                lambda: story.driver.call(
                    lambda s: change_remediation.roll_back(s, story.remediation.id)
                ),
            )
            await _to_its_end(striker, FlowJobState.ROLLED_BACK, told.lasts)
        if told.afterwards:
            await told.afterwards(striker)
    check(story)
    assert story.world.traffic.handled_twice == []
    assert striker.wrong == []
    return striker


async def _explained(striker: Striker) -> Striker:
    """See that a plan without a job says of each flow why, and that nothing stays lent."""
    plan = await striker.story.plan()
    assert plan
    assert all(item.explanation and item.instruction for item in plan.values())
    striker.is_mended = True
    await _settled(striker, 2 * DAYS)
    check(striker.story)
    assert striker.wrong == []
    return striker


async def _to_its_end(striker: Striker, end: FlowJobState, lasts: timedelta) -> None:
    """Let time pass, help where a person is asked, and see that each job comes to its end."""
    story = striker.story
    for _ in range(RETRIES):
        await _settled(striker, lasts)
        jobs = (await story.jobs()).values()
        if striker.fault and striker.fault.lasts and striker.has_struck and not striker.is_mended:
            _see_that_it_is_told(striker, list(jobs), end)
            striker.is_mended = True
        if all(job.state is end for job in jobs):
            break
        assert not [job for job in jobs if job.state is FlowJobState.FAILED], "a defect"
        await until_done(
            story,
            lambda: story.driver.call(lambda s: change_remediation.retry(s, story.remediation.id)),
        )
    await _settled(striker, 2 * DAYS)
    ended = {job.display_name: (job.state, job.reason) for job in (await story.jobs()).values()}
    assert {state for state, _ in ended.values()} == {end}, ended


def _see_that_it_is_told(striker: Striker, jobs: list[Any], end: FlowJobState) -> None:
    """Somebody is asked to help, or nobody has to."""
    story = striker.story
    if all(job.state is end for job in jobs) or story.twins.notices.told:
        return
    asked = [job for job in jobs if job.state is FlowJobState.BLOCKED and job.instruction]
    waiting = [job for job in jobs if job.state is FlowJobState.WAITING and job.reason]
    assert asked or waiting, [(job.state, job.code, job.reason) for job in jobs]


async def _settled(striker: Striker, time: timedelta) -> None:
    """Let time pass; the kill switch is turned off again after an hour."""
    story = striker.story
    until = story.world.clock.now() + time
    while story.world.clock.now() < until:
        await story.run(min(timedelta(hours=6), until - story.world.clock.now()))
        if striker.is_stopped:
            await striker.switch(is_on=False)


STORIES: dict[str, Callable[..., Coroutine[Any, Any, Striker]]] = {
    name: partial(play, told) for name, told in TOLD.items()
}
