from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.network.firewall_fix_record import FirewallFixState
from shared.errors import JobBlocked, MustWait
from shared.ports import AppliesFixes
from shared.reason import Reason
from shared.use_cases.manage_firewall_fixes import (
    FirewallFixInput,
    apply_fix,
    list_applied_fixes,
    propose_fixes,
    revert_fix,
)
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.crash import Plan
from tests.functional.scenarios.firewall_scenario import (
    APPLIED,
    SERVICE_TAGS,
    WEST,
    Guarded,
    build_faulty_services,
    build_fix_input,
    build_guarded_scenario,
    find_resource_name,
    list_issue_names,
)
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.cases import FIREWALL_KINDS
from tests.kinds.firewalls.azure_firewall import build_ip_group
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_app_applies_fixes_to_documented_firewall_kinds_only(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)
    name = find_resource_name(kind)

    shown = await propose_fixes(scenario.services, name)

    has_opening = {one.fix.added_entries is not None for one in shown}
    assert has_opening == {kind in APPLIED}
    assert isinstance(scenario.services.firewalls[kind], AppliesFixes) is (kind in APPLIED)


@pytest.mark.parametrize("kind", APPLIED)
async def test_firewall_fix_is_applied_and_reverted_exactly(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)
    before = scenario.azure
    [shown] = await propose_fixes(scenario.services, find_resource_name(kind))

    [opened] = await apply_fix(scenario.services, build_fix_input(kind))
    left, changed = await list_issue_names(scenario), scenario.azure
    [closed] = await revert_fix(scenario.services, build_fix_input(kind))

    assert left == []
    assert changed != before
    assert (opened.state, opened.changed_by) == (FirewallFixState.APPLIED, "ops")
    assert shown.fix.added_entries is not None
    assert opened.added_entries.entries == shown.fix.added_entries.entries
    assert closed.state is FirewallFixState.REVERTED
    assert scenario.azure == before
    assert await list_applied_fixes(scenario.services) == [closed]


@pytest.mark.parametrize("kind", APPLIED)
async def test_second_request_for_a_fix_is_rejected_without_a_change(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)
    await apply_fix(scenario.services, build_fix_input(kind))
    changed = scenario.azure

    with pytest.raises(JobBlocked, match="has no firewall issue") as refused:
        await apply_fix(scenario.services, build_fix_input(kind))

    assert refused.value.code == Reason.ISSUE_NOT_FOUND
    assert scenario.azure == changed


@pytest.mark.parametrize("kind", APPLIED)
async def test_kill_switch_read_only_policy_and_maintenance_window_stop_a_fix(kind: str) -> None:
    scenario = await build_guarded_scenario(kind, mode=ApprovalPolicy.READ_ONLY)
    before = scenario.azure

    with pytest.raises(JobBlocked) as by_mode:
        await apply_fix(scenario.services, build_fix_input(kind))
    scenario.mode = ApprovalPolicy.REQUIRED
    await scenario.opt_in(maintenance_window="00:00-00:01")
    scenario.world.clock.advance_to(scenario.world.clock.now().replace(hour=12))
    with pytest.raises(MustWait) as by_window:
        await apply_fix(scenario.services, build_fix_input(kind))
    await scenario.opt_in()
    await set_kill_switch(scenario.services, is_on=True, by="ops", reason="storm")
    with pytest.raises(MustWait) as by_switch:
        await apply_fix(scenario.services, build_fix_input(kind))
    untouched = scenario.azure
    await set_kill_switch(scenario.services, is_on=False, by="ops", reason="calm")
    await apply_fix(scenario.services, build_fix_input(kind))
    await set_kill_switch(scenario.services, is_on=True, by="ops", reason="storm")
    opened = scenario.azure
    with pytest.raises(MustWait):
        await revert_fix(scenario.services, build_fix_input(kind))

    assert by_mode.value.code == Reason.ENVIRONMENT_READ_ONLY
    assert by_window.value.code == Reason.OUTSIDE_MAINTENANCE_WINDOW
    assert by_switch.value.code == Reason.KILL_SWITCH_ON
    assert untouched == before
    assert scenario.azure == opened


class Editing:
    """A resource writer that calls a function once, right before its first use."""

    def __init__(self, inner: Any, edit: Callable[[], None]) -> None:
        self._inner, self._edits = inner, [edit]

    def __getattr__(self, name: str) -> Any:
        while self._edits:
            self._edits.pop()()
        return getattr(self._inner, name)


async def test_fix_keeps_concurrent_edit_of_an_ip_group() -> None:
    scenario = await build_guarded_scenario("azure_firewall")
    [group_id] = [path for path in scenario.world.resources if "/ipgroups/" in path]
    scenario.world.resources[group_id] = {**scenario.world.resources[group_id], "etag": "W/first"}

    def edit() -> None:
        group: Any = deepcopy(dict(scenario.world.resources[group_id]))
        group["properties"]["ipAddresses"].append("198.51.100.7")
        scenario.world.resources[group_id] = {**group, "etag": "W/second"}

    writer = Editing(scenario.services.resource_writer, edit)
    services = replace(scenario.services, resource_writer=writer)

    await apply_fix(services, build_fix_input("azure_firewall"))
    opened = scenario.azure
    await revert_fix(scenario.services, build_fix_input("azure_firewall"))

    assert "198.51.100.7" in opened
    assert "198.51.100.7" in scenario.azure
    assert "20.61.88.128/26" not in scenario.azure
    assert await list_issue_names(scenario) != []


async def test_revert_keeps_a_rule_that_was_edited_after_the_fix() -> None:
    scenario = await build_guarded_scenario("network_security_group")
    [opened] = await apply_fix(scenario.services, build_fix_input("network_security_group"))
    group: Any = scenario.world.resources[find_security_group_id(scenario)]
    moved = next(
        one
        for one in group["properties"]["securityRules"]
        if one["name"] == "cmk-PPPlex.WestEurope"
    )
    moved["properties"]["priority"] = 3000

    await revert_fix(scenario.services, build_fix_input("network_security_group"))

    assert len(opened.added_entries.entries) == 2
    assert "cmk-PPPlex.WestEurope" in scenario.azure
    assert "cmk-PPPlex.NorthEurope" not in scenario.azure


def find_security_group_id(scenario: Scenario) -> str:
    [found] = [path for path in scenario.world.resources if "/networksecuritygroups/" in path]
    return found


async def test_concurrent_fix_waits_for_the_resource_lease() -> None:
    scenario = await build_guarded_scenario("network_security_group")
    first = Plan(at=None)

    class Midway:
        """A resource writer that requests the same fix again before it writes."""

        async def put(self, *arguments: Any, **named: Any) -> None:
            with pytest.raises(MustWait) as second:
                await apply_fix(scenario.services, build_fix_input("network_security_group"))
            assert second.value.code == Reason.WAITING_FOR_RESOURCE_LEASE
            await scenario.fakes.ports.resource_writer.put(*arguments, **named)

    services = replace(build_faulty_services(scenario, first), resource_writer=Midway())

    await apply_fix(services, build_fix_input("network_security_group"))

    assert await list_issue_names(scenario) == []


async def test_error_for_unknown_firewall_name_suggests_existing_names() -> None:
    scenario = await build_guarded_scenario("network_security_group")

    for use_case in (apply_fix, revert_fix):
        with pytest.raises(JobBlocked) as refused:
            await use_case(scenario.services, FirewallFixInput(resource="egde", requested_by="ops"))
        assert refused.value.code == Reason.ISSUE_NOT_FOUND
    with pytest.raises(JobBlocked) as asked:
        await propose_fixes(scenario.services, "network_security_group:/subscriptions/s/nothing")

    assert "network_security_group:" in asked.value.fix


async def test_fix_changes_only_the_part_of_the_firewall_that_flows_call() -> None:
    scenario = await build_guarded_scenario("app_service")
    site_id = next(one["id"] for one in scenario.world.resources.values() if "id" in one)
    web: Any = scenario.world.resources[f"{site_id}/config/web".lower()]
    web["properties"]["scmIpSecurityRestrictions"] = web["properties"]["ipSecurityRestrictions"]
    await scenario.order()
    await scenario.approve()

    [opened] = await apply_fix(scenario.services, build_fix_input("app_service"))
    exact = await propose_fixes(scenario.services, f"{site_id}#scm")

    assert opened.added_entries.list_name == "ipSecurityRestrictions"
    assert [one.issue.part for one in exact] == ["scm"]


async def test_error_for_ambiguous_firewall_names_its_parts() -> None:
    scenario = Guarded(has_azure_firewalls=True)
    scenario.world.service_tags = {name: [*listed] for name, listed in SERVICE_TAGS.items()}
    scenario.add_resources(
        build_security_group(
            build_security_rule("a", 100, access="Deny", destinationAddressPrefix="10.0.1.4"),
            build_security_rule("b", 101, access="Deny", destinationAddressPrefix="10.0.1.5"),
        )
    )
    scenario.build.apply_key()
    await scenario.opt_in()

    with pytest.raises(JobBlocked, match=r"edge is ambiguous. Name one of these: .*#10\.0\.1\.4"):
        await apply_fix(scenario.services, FirewallFixInput(resource="edge", requested_by="ops"))


async def test_revert_is_rejected_while_a_copy_uses_the_firewall() -> None:
    scenario = await build_guarded_scenario("network_security_group")
    await apply_fix(scenario.services, build_fix_input("network_security_group"))
    opened = scenario.azure
    await scenario.order()
    await scenario.approve()

    with pytest.raises(JobBlocked) as in_use:
        await revert_fix(scenario.services, build_fix_input("network_security_group"))
    await scenario.roll_back()
    after_rollback = scenario.azure
    [closed] = await revert_fix(scenario.services, build_fix_input("network_security_group"))

    assert in_use.value.code == Reason.FIREWALL_FIX_IN_USE
    assert "`force`" in in_use.value.fix
    assert f"1 of {scenario.remediation.id}" in in_use.value.reason
    assert after_rollback == opened
    assert closed.state is FirewallFixState.REVERTED


async def test_forced_revert_ignores_copies_that_use_the_firewall() -> None:
    scenario = await build_guarded_scenario("network_security_group")
    before = scenario.azure
    await apply_fix(scenario.services, build_fix_input("network_security_group"))
    await scenario.order()
    await scenario.approve()

    await revert_fix(scenario.services, build_fix_input("network_security_group", force=True))

    assert scenario.azure == before


async def test_second_fix_with_new_ranges_extends_the_first_record() -> None:
    scenario = await build_guarded_scenario("azure_firewall")
    before = scenario.azure
    await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    scenario.world.service_tags[WEST].append("20.105.211.64/28")

    [opened] = await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    await revert_fix(scenario.services, build_fix_input("azure_firewall"))

    assert len(opened.added_entries.entries) == 4
    assert scenario.azure == before


async def test_revert_is_rejected_if_it_removes_the_only_restriction_of_a_site() -> None:
    """A site without restrictions allows every address."""
    scenario = await build_guarded_scenario("app_service")
    await apply_fix(scenario.services, build_fix_input("app_service"))
    [path] = [path for path in scenario.world.resources if path.endswith("/config/web")]
    web: Any = scenario.world.resources[path]
    web["properties"]["ipSecurityRestrictions"] = [
        one for one in web["properties"]["ipSecurityRestrictions"] if one["name"].startswith("cmk-")
    ]
    before = scenario.azure

    with pytest.raises(JobBlocked, match="only restriction"):
        await revert_fix(scenario.services, build_fix_input("app_service"))

    assert scenario.azure == before


async def test_revert_of_a_fix_in_a_deleted_firewall_succeeds() -> None:
    scenario = await build_guarded_scenario("azure_firewall")
    await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    scenario.world.resources = {build_ip_group("other")["id"].lower(): build_ip_group("other")}

    [closed] = await revert_fix(scenario.services, build_fix_input("azure_firewall"))

    assert closed.state is FirewallFixState.REVERTED
