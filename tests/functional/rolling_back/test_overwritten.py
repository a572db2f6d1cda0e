"""A delivery frozen before a write without an ETag wakes: what it wrote over is told of."""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.check_health import check_health
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import TwinSecret
from tests.functional.rolling_back.frozen_delivery import MINUTE, freeze, make_story
from tests.functional.scenarios.remediation_scenario import Story


async def roll_back(story: Story, *flow_ids: str) -> None:
    """Order it, and let the frozen delivery wake and all come to its end."""
    await change_remediation.roll_back(story.services, story.remediation.id, flow_ids)
    await story.run(timedelta(days=30))


def secret_story() -> tuple[Story, TwinSecret]:
    """Return a tenant with a secret that holds a password beside the URL."""
    story = make_story(
        lambda s: s.build.secret_caller(s.build.http_flow("Orders"), beside="password=old;url=")
    )
    [secret] = story.world.secrets.values()
    return story, secret


def change_password(story: Story, secret: TwinSecret, password: str = "new") -> None:  # noqa: S107
    """Let a person add a version with another password and the same URL."""
    _, _, url = secret.value.partition(";")
    secret.versions.append(story.world.secret_version(f"password={password};{url}"))


def told(story: Story) -> list[str]:
    """Return what people were told was overwritten."""
    return [one.message for one in story.twins.notices.told if one.code == Reason.STALE_WRITE]


@pytest.mark.parametrize("ordered", [0 * MINUTE, 10 * MINUTE])
async def test_settings_that_a_person_changed_meanwhile_are_told_of(ordered: timedelta) -> None:
    """One setting is changed, one is added and one is taken away while the delivery sleeps.

    The rollback reads them before it wakes, or what it has written.
    """
    story = make_story(lambda s: s.build.app_setting_caller(s.build.http_flow("Orders")))
    [site] = story.world.sites.values()
    site.settings |= {"TIMEOUT": "5", "OLD": "1", "SAME": "x"}
    before = take_snapshot(story.world)
    await freeze(story, "AppSettingsTwin.write")

    site.settings = {**site.settings, "TIMEOUT": "30", "NEW": "top-secret"}
    del site.settings["OLD"]
    await story.run(ordered)
    await roll_back(story)

    job = await story.job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK
    assert differences(before, story.world) == []
    assert site.settings["TIMEOUT"] == "5"
    [cause] = told(story)
    assert {f"{site.id}|{name}" in cause for name in ("TIMEOUT", "NEW", "OLD")} == {True}
    assert not any(f"|{name}" in cause for name in ("SAME", "FLOW_URL"))
    assert cause in job.notes
    assert not any("top-secret" in str(row.columns) for row in story.twins.store.rows.values())


async def test_they_are_told_of_without_a_rollback_too() -> None:
    """The job goes on by itself; when nothing is under way any more it looks."""
    story = make_story(lambda s: s.build.app_setting_caller(s.build.http_flow("Orders")))
    [site] = story.world.sites.values()
    site.settings["TIMEOUT"] = "5"
    await freeze(story, "AppSettingsTwin.write")

    site.settings = {**site.settings, "TIMEOUT": "30"}
    await story.run(timedelta(hours=12))
    assert (await check_health(story.services)).notices == {Reason.STALE_WRITE: 1}
    await story.run(timedelta(days=30))

    assert (await check_health(story.services)).notices == {}
    assert (await story.job("Orders")).state is FlowJobState.RETIRED
    [cause] = told(story)
    assert f"{site.id}|TIMEOUT" in cause


async def test_what_nobody_changed_meanwhile_is_not_told_of() -> None:
    """The URLs in app and secret are put back; what a person changes afterwards is theirs."""

    def build(story: Story) -> None:
        flow = story.build.http_flow("Orders")
        story.build.app_setting_caller(flow)
        story.build.app_setting_caller(flow, setting="ALSO")
        story.build.secret_caller(flow)

    for call, number in (
        ("AppSettingsTwin.write", 1),
        ("SecretsTwin.write", 1),
    ):
        story = make_story(build)
        [site] = story.world.sites.values()
        before = take_snapshot(story.world)
        await freeze(story, call, number)

        await change_remediation.roll_back(story.services, story.remediation.id)
        await story.run(12 * MINUTE)  # it has woken
        assert differences(before, story.world) != []
        site.settings = {**site.settings, "TIMEOUT": "30"}
        await story.run(timedelta(days=30))

        assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
        assert site.settings.pop("TIMEOUT") == "30"
        assert differences(before, story.world) == []
        assert told(story) == []


async def test_a_secret_of_which_a_person_changed_the_rest_is_told_of() -> None:
    """Its URL is put back; the password beside it is the one of the version before."""
    story, secret = secret_story()
    url = secret.value
    await freeze(story, "SecretsTwin.write")

    change_password(story, secret)
    await roll_back(story)

    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert secret.value == url
    [cause] = told(story)
    assert "secret flow-url" in cause
    assert "password" not in cause


@pytest.mark.parametrize("is_rolled_back", [True, False])
async def test_a_version_that_came_after_the_later_delivery_is_told_of(
    *, is_rolled_back: bool
) -> None:
    """The secret reads as both deliveries had read it: only the vault knows what was between."""
    story, secret = secret_story()
    await freeze(story, "SecretsTwin.write")
    await story.run(5 * MINUTE)
    assert len(secret.versions) == 2  # the later delivery's

    change_password(story, secret)
    if is_rolled_back:
        await story.run(5 * MINUTE)  # it has woken: the rollback reads what it has written
        await roll_back(story)
    await story.run(timedelta(days=30))

    state = FlowJobState.ROLLED_BACK if is_rolled_back else FlowJobState.RETIRED
    assert (await story.job("Orders")).state is state
    assert secret.value.startswith("password=old;")
    [cause] = told(story)
    assert "secret flow-url" in cause


@pytest.mark.parametrize("afterwards", [(), ("newer", "newest")])
async def test_versions_that_a_person_replaces_are_not_told_of(afterwards: tuple[str, ...]) -> None:
    """Neither is the one from before the delivery was frozen, nor what they change afterwards."""
    story, secret = secret_story()
    change_password(story, secret, "older")
    await story.run(timedelta(hours=1))
    change_password(story, secret, "old")
    await freeze(story, "SecretsTwin.write")
    await story.run(10 * MINUTE)  # it has woken
    for password in afterwards:
        change_password(story, secret, password)
    await story.run(timedelta(days=30))

    assert secret.value.startswith(f"password={['old', *afterwards][-1]};")
    assert told(story) == []


async def test_another_jobs_setting_is_put_back_by_that_job() -> None:
    """Both are of one app, and the sleeper of one job writes the settings of both.

    Neither waits for the other: written together, the sleeper's settings would be those of both.
    """

    def build(story: Story) -> None:
        story.build.app_setting_caller(story.build.http_flow("Orders"))
        story.build.app_setting_caller(story.build.http_flow("Bills"), setting="BILLS_URL")

    story = make_story(build, caller_batch_wait=timedelta())
    [site] = story.world.sites.values()
    await freeze(story, "AppSettingsTwin.write")
    await story.run(5 * MINUTE)
    moved = dict(site.settings)
    await story.run(15 * MINUTE)
    assert site.settings != moved
    for job in (await story.jobs()).values():
        await FLOW.wake_up(story.services, (job.environment_id, job.id))
    await story.run(timedelta(0))  # each looks, and one of them at what is the other's
    assert site.settings != moved
    await story.run(timedelta(days=30))

    assert site.settings == moved
    assert {job.state for job in (await story.jobs()).values()} == {FlowJobState.RETIRED}
    assert story.world.traffic.lost == []
    story.world.traffic.beat(story.world)
    assert story.world.traffic.lost == []
    assert told(story) == []
