"""Test the daily check of Microsoft's published address ranges."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.alert import Alert
from shared.domain.network.service_tag_list_version import AffectedFirewall, AffectedRemediation
from shared.domain.network.service_tags import AddressRangeChange, ServiceTagList
from shared.errors import ServiceUnavailable
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.change_environment import ignore_issue
from shared.use_cases.check_health import check_health
from shared.use_cases.record_address_ranges import list_known_versions
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes import definition_builder as define
from tests.functional.scenarios.firewall_scenario import ERP_HOST, build_erp_firewall
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    approve_shown,
    plan_and_approve,
    plan_remediation,
)

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
DAY = timedelta(days=1)


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
    )
    scenario.world.service_tags = {WEST: ["20.1.0.0/24", "20.1.1.0/24"], NORTH: ["20.2.0.0/24"]}
    scenario.world.firewalls = [build_erp_firewall("20.1.0.0/23", "20.2.0.0/24")]
    await plan_and_approve(scenario)
    await scenario.driver.call(lambda services: run_daily_check(services, "before"))
    assert scenario.fakes.notices.told == []
    return scenario


def publish_list(scenario: Scenario, prefixes: dict[str, list[str]]) -> None:
    scenario.world.service_tags.update(prefixes)
    scenario.world.service_tags_edition += 1


async def list_next_notifications(
    scenario: Scenario, *, after: timedelta = DAY, date: str = "next"
) -> list[Alert]:
    scenario.world.clock.advance(after)
    before = len(scenario.fakes.notices.told)
    await scenario.driver.call(lambda services: run_daily_check(services, date))
    return scenario.fakes.notices.told[before:]


async def list_health_alerts(scenario: Scenario) -> dict[str, int]:
    """Run the timer that deletes ended alerts, and return the counts of alerts in health."""
    await scenario.driver.call(send_due_and_overdue_messages)
    return (await check_health(scenario.services)).alert_counts


async def test_changed_ranges_are_reported_with_firewall_and_remediation(
    scenario: Scenario,
) -> None:
    publish_list(scenario, {WEST: ["20.1.0.0/24", "20.9.0.0/24"]})

    [notice] = await list_next_notifications(scenario)
    [edition, _] = await list_known_versions(scenario.services)
    shown = await list_health_alerts(scenario)
    again = await list_next_notifications(scenario, date="later")
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    closed = await list_next_notifications(scenario, date="last")

    assert notice.reason_code == Reason.ADDRESS_RANGES_CHANGED
    for said in ("371 to 372", f"{WEST} 20.9.0.0/24", f"{WEST} 20.1.1.0/24", "erp"):
        assert said in notice.message
    assert edition.changes == (
        AddressRangeChange(
            tag="PowerPlatformPlex",
            region="WestEurope",
            added=("20.9.0.0/24",),
            removed=("20.1.1.0/24",),
        ),
    )
    assert edition.affected_firewalls == (
        AffectedFirewall(
            issue="app_service:/firewalls/erp", name="erp", missing_prefixes=("20.9.0.0/24",)
        ),
    )
    assert edition.affected_remediations == (
        AffectedRemediation(remediation_id=scenario.remediation.id, flow_count=1),
    )
    assert scenario.remediation.id in notice.message
    assert shown == {Reason.ADDRESS_RANGES_CHANGED: 1}
    assert (again, closed) == ([], [])
    assert await list_health_alerts(scenario) == {}


async def test_approved_flows_without_jobs_are_included_in_the_check() -> None:
    scenario = Scenario()
    for title in ("Orders", "Returns"):
        scenario.build.add_http_flow(
            title, {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
        )
    left_out = scenario.build.add_http_flow(
        "Third", {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
    )
    scenario.world.service_tags = {WEST: ["20.1.0.0/24"], NORTH: ["20.2.0.0/24"]}
    scenario.world.firewalls = [build_erp_firewall("20.1.0.0/24", "20.2.0.0/24")]
    await plan_remediation(scenario)
    await scenario.driver.call(lambda services: run_daily_check(services, "before"))
    await approve_shown(scenario.services, scenario.remediation.id, left_out.workflow_id)
    assert await scenario.read_jobs() == {}
    publish_list(scenario, {WEST: ["20.1.0.0/24", "20.9.0.0/24"]})

    await list_next_notifications(scenario, after=timedelta(minutes=1))

    [edition, _] = await list_known_versions(scenario.services)
    assert edition.affected_remediations == (
        AffectedRemediation(remediation_id=scenario.remediation.id, flow_count=2),
    )


async def test_ignored_issue_ends_the_alert(scenario: Scenario) -> None:
    publish_list(scenario, {WEST: ["20.1.0.0/24", "20.9.0.0/24"]})
    [notice] = await list_next_notifications(scenario)
    waived = "app_service:/firewalls/erp"
    await ignore_issue(
        scenario.services, scenario.build.environment.id, waived, "not called any more"
    )

    assert "do not allow all added addresses: erp" in notice.message
    assert await list_next_notifications(scenario, date="later") == []
    assert await list_health_alerts(scenario) == {}


async def test_change_of_other_regions_is_not_reported(scenario: Scenario) -> None:
    publish_list(
        scenario,
        {
            WEST: ["20.1.0.0/23"],
            "PowerPlatformPlex.WestUS": ["20.9.0.0/24"],
            "Storage.WestEurope": ["20.10.0.0/24"],
        },
    )

    assert await list_next_notifications(scenario) == []
    assert (await list_known_versions(scenario.services))[0].change_number == 372
    assert await list_health_alerts(scenario) == {}


async def test_optional_tag_is_reported_without_a_firewall_issue(scenario: Scenario) -> None:
    publish_list(scenario, {"PowerPlatformInfra.WestEurope": ["20.9.0.0/24"]})

    [notice] = await list_next_notifications(scenario)

    assert "PowerPlatformInfra.WestEurope 20.9.0.0/24" in notice.message
    assert "No firewall that the app can read denies the added addresses" in notice.message


class Deaf:
    async def send(self, notice: Alert) -> None:
        raise ServiceUnavailable("nobody is there")


async def test_next_daily_check_reports_a_recorded_change(scenario: Scenario) -> None:
    publish_list(scenario, {WEST: ["20.1.0.0/24", "20.9.0.0/24"]})
    scenario.world.clock.advance(DAY)
    await run_daily_check(replace(scenario.services, alerts=Deaf()), "died")

    [notice] = await list_next_notifications(scenario)

    assert "20.9.0.0/24" in notice.message


class Silent:
    """A service tag list that cannot be read, or that contains invalid prefixes if `is_broken` is
    set.
    """

    def __init__(self, services: Services, *, is_broken: bool = False) -> None:
        self._tags, self._is_broken = services.service_tags, is_broken

    async def get_list(self) -> ServiceTagList:
        if not self._is_broken:
            raise ServiceUnavailable("no answer")
        found = await self._tags.get_list()
        tags = [replace(one, prefixes=(*one.prefixes, "[more]")) for one in found]
        return ServiceTagList(tags, found.change_number + 1)


@pytest.mark.parametrize("is_broken", [False, True])
async def test_list_that_was_not_read_for_a_week_is_reported(
    scenario: Scenario, is_broken: bool
) -> None:
    silent = Silent(scenario.services, is_broken=is_broken)
    services = replace(scenario.services, service_tags=silent)
    notices = scenario.fakes.notices

    for day in range(1, 8):
        scenario.world.clock.advance(DAY)
        await run_daily_check(services, f"day-{day}")
    assert notices.told == []
    scenario.world.clock.advance(DAY)
    await run_daily_check(services, "day-8")

    [notice] = notices.told
    assert notice.reason_code == Reason.ADDRESS_RANGES_OUTDATED
    assert "could not be read" in notice.message


async def test_list_without_changes_for_ninety_days_is_reported(scenario: Scenario) -> None:
    assert await list_next_notifications(scenario, after=timedelta(days=89)) == []

    [notice] = await list_next_notifications(scenario, after=2 * DAY, date="later")

    assert notice.reason_code == Reason.ADDRESS_RANGES_OUTDATED
    assert "version 371 has not changed since " in notice.message
    publish_list(scenario, {WEST: ["20.1.0.0/23"]})
    assert await list_next_notifications(scenario, date="last") == []
    assert await list_health_alerts(scenario) == {}
