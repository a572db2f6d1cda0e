"""Test that the app reports what the late write of a frozen invocation overwrites."""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.check_health import check_health
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeSecret
from tests.functional.rolling_back.frozen_delivery import MINUTE, freeze, make_scenario
from tests.functional.scenarios.remediation_scenario import Scenario


async def roll_back(scenario: Scenario, *flow_ids: str) -> None:
    await change_remediation.roll_back(scenario.services, scenario.remediation.id, flow_ids)
    await scenario.run(timedelta(days=30))


def build_secret_scenario() -> tuple[Scenario, FakeSecret]:
    scenario = make_scenario(
        lambda s: s.build.add_secret_caller(
            s.build.add_http_flow("Orders"), beside="password=old;url="
        )
    )
    [secret] = scenario.world.secrets.values()
    return scenario, secret


def change_password(scenario: Scenario, secret: FakeSecret, password: str = "new") -> None:  # noqa: S107
    _, _, url = secret.value.partition(";")
    secret.versions.append(scenario.world.create_secret_version(f"password={password};{url}"))


def list_notifications(scenario: Scenario) -> list[str]:
    return [
        one.message for one in scenario.fakes.notices.told if one.reason_code == Reason.STALE_WRITE
    ]


@pytest.mark.parametrize("ordered", [0 * MINUTE, 10 * MINUTE])
async def test_overwritten_settings_of_a_person_are_reported(ordered: timedelta) -> None:
    scenario = make_scenario(
        lambda s: s.build.add_app_setting_caller(s.build.add_http_flow("Orders"))
    )
    [site] = scenario.world.sites.values()
    site.settings |= {"TIMEOUT": "5", "OLD": "1", "SAME": "x"}
    before = take_snapshot(scenario.world)
    await freeze(scenario, "FakeAppSettings.write")

    site.settings = {**site.settings, "TIMEOUT": "30", "NEW": "top-secret"}
    del site.settings["OLD"]
    await scenario.run(ordered)
    await roll_back(scenario)

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK
    assert find_differences(before, scenario.world) == []
    assert site.settings["TIMEOUT"] == "5"
    [cause] = list_notifications(scenario)
    assert {f"{site.id}|{name}" in cause for name in ("TIMEOUT", "NEW", "OLD")} == {True}
    assert not any(f"|{name}" in cause for name in ("SAME", "FLOW_URL"))
    assert cause in job.notes
    assert not any("top-secret" in str(row.columns) for row in scenario.fakes.store.rows.values())


async def test_overwritten_setting_is_reported_without_a_rollback() -> None:
    scenario = make_scenario(
        lambda s: s.build.add_app_setting_caller(s.build.add_http_flow("Orders"))
    )
    [site] = scenario.world.sites.values()
    site.settings["TIMEOUT"] = "5"
    await freeze(scenario, "FakeAppSettings.write")

    site.settings = {**site.settings, "TIMEOUT": "30"}
    await scenario.run(timedelta(hours=12))
    assert (await check_health(scenario.services)).alert_counts == {Reason.STALE_WRITE: 1}
    await scenario.run(timedelta(days=30))

    assert (await check_health(scenario.services)).alert_counts == {}
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    [cause] = list_notifications(scenario)
    assert f"{site.id}|TIMEOUT" in cause


async def test_unchanged_settings_are_not_reported() -> None:
    def build(scenario: Scenario) -> None:
        flow = scenario.build.add_http_flow("Orders")
        scenario.build.add_app_setting_caller(flow)
        scenario.build.add_app_setting_caller(flow, setting="ALSO")
        scenario.build.add_secret_caller(flow)

    for call, number in (
        ("FakeAppSettings.write", 1),
        ("FakeSecrets.write", 1),
    ):
        scenario = make_scenario(build)
        [site] = scenario.world.sites.values()
        before = take_snapshot(scenario.world)
        await freeze(scenario, call, number)

        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(12 * MINUTE)  # the frozen invocation has continued
        assert find_differences(before, scenario.world) != []
        site.settings = {**site.settings, "TIMEOUT": "30"}
        await scenario.run(timedelta(days=30))

        assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
        assert site.settings.pop("TIMEOUT") == "30"
        assert find_differences(before, scenario.world) == []
        assert list_notifications(scenario) == []


async def test_overwritten_secret_of_a_person_is_reported() -> None:
    scenario, secret = build_secret_scenario()
    url = secret.value
    await freeze(scenario, "FakeSecrets.write")

    change_password(scenario, secret)
    await roll_back(scenario)

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert secret.value == url
    [cause] = list_notifications(scenario)
    assert "secret flow-url" in cause
    assert "password" not in cause


@pytest.mark.parametrize("is_rolled_back", [True, False])
async def test_overwritten_secret_version_is_reported(*, is_rolled_back: bool) -> None:
    """The late write restores the old password, so the secret looks unchanged."""
    scenario, secret = build_secret_scenario()
    await freeze(scenario, "FakeSecrets.write")
    await scenario.run(5 * MINUTE)
    assert len(secret.versions) == 2  # the second is of the later invocation

    change_password(scenario, secret)
    if is_rolled_back:
        await scenario.run(5 * MINUTE)  # the frozen invocation has written
        await roll_back(scenario)
    await scenario.run(timedelta(days=30))

    state = FlowJobState.ROLLED_BACK if is_rolled_back else FlowJobState.RETIRED
    assert (await scenario.read_job("Orders")).state is state
    assert secret.value.startswith("password=old;")
    [cause] = list_notifications(scenario)
    assert "secret flow-url" in cause


@pytest.mark.parametrize("afterwards", [(), ("newer", "newest")])
async def test_secret_versions_that_a_person_replaces_are_not_reported(
    afterwards: tuple[str, ...],
) -> None:
    scenario, secret = build_secret_scenario()
    change_password(scenario, secret, "older")
    await scenario.run(timedelta(hours=1))
    change_password(scenario, secret, "old")
    await freeze(scenario, "FakeSecrets.write")
    await scenario.run(10 * MINUTE)  # the frozen invocation has continued
    for password in afterwards:
        change_password(scenario, secret, password)
    await scenario.run(timedelta(days=30))

    assert secret.value.startswith(f"password={['old', *afterwards][-1]};")
    assert list_notifications(scenario) == []


async def test_setting_of_another_job_is_written_again_by_that_job() -> None:
    """A late write of all settings also reverts the other job's setting."""

    def build(scenario: Scenario) -> None:
        scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
        scenario.build.add_app_setting_caller(
            scenario.build.add_http_flow("Bills"), setting="BILLS_URL"
        )

    scenario = make_scenario(build, caller_batch_wait=timedelta())
    [site] = scenario.world.sites.values()
    await freeze(scenario, "FakeAppSettings.write")
    await scenario.run(5 * MINUTE)
    moved = dict(site.settings)
    await scenario.run(15 * MINUTE)
    assert site.settings != moved
    for job in (await scenario.read_jobs()).values():
        await FLOW.wake_up(scenario.services, (job.environment_id, job.id))
    await scenario.run(timedelta(0))  # each job reads the settings of both
    assert site.settings != moved
    await scenario.run(timedelta(days=30))

    assert site.settings == moved
    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    assert scenario.world.traffic.lost_calls == []
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []
    assert list_notifications(scenario) == []
