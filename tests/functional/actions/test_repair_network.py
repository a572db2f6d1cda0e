"""Firewall fixes that the app applies and reverts on request, without any other change."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.errors import JobBlocked, MustWait, PlatformError, ServiceUnavailable
from shared.ports import AppliesFixes
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.manage_firewall_fixes import (
    FirewallFixInput,
    apply_fix,
    complete_or_report_unfinished_fixes,
    list_applied_fixes,
    propose_fixes,
    revert_fix,
)
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.crash import Moment, Plan, was_killed
from tests.fakes.fault_injection import Failing
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.case import HOST, Json
from tests.kinds.cases import FIREWALL_KINDS, firewall_case
from tests.kinds.firewalls.azure_firewall import ip_group
from tests.kinds.firewalls.network_security_group import security_group, security_rule

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
#: Kinds whose repairs the app makes by itself.
APPLIED = ("app_service", "azure_firewall", "network_security_group")
GROUP = "network_security_group"
_PREFIXES = {
    WEST: ["20.61.88.128/26", "172.199.131.64/26"],
    NORTH: ["4.207.189.192/26"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
    "LogicApps.NorthEurope": ["13.69.231.160/27"],
}


def build_fix_input(kind: str, **more: Any) -> FirewallFixInput:
    """Return the request to apply the fix to the firewall of this kind."""
    return FirewallFixInput(resource=_resource(kind), requested_by="ops", **more)


def _resource(kind: str) -> str:
    """Return the name by which a person refers to the firewall of this kind."""
    return firewall_case(kind).name.partition(" ")[0]


class Guarded(Scenario):
    """A flow that calls a host behind one firewall, which lacks the new addresses."""

    def guard(self, *resources: Json) -> None:
        """Add these resources to Azure."""
        for one in resources:
            self.world.resources[one["id"].lower()] = deepcopy(one)

    @property
    def azure(self) -> str:
        """Return all resources as one text, without their ETags, to compare them exactly."""
        shown = {
            path: {key: value for key, value in one.items() if key != "etag"}
            for path, one in self.world.resources.items()
        }
        return json.dumps(shown, sort_keys=True)


async def build_guarded_scenario(
    kind: str, *, mode: ApprovalPolicy = ApprovalPolicy.REQUIRED
) -> Guarded:
    """Return a scenario with a firewall of this kind in front of a called host."""
    scenario = Guarded(has_azure_firewalls=True, mode=mode)
    scenario.world.service_tags = {name: [*listed] for name, listed in _PREFIXES.items()}
    case = firewall_case(kind)
    tags = [name for name in _PREFIXES if name.startswith("LogicApps")]
    listed = await scenario.services.service_tags.get_list()
    for path, one in case.resources(case.sources(tags, listed)).items():
        scenario.world.resources[path.lower()] = deepcopy(one)
    scenario.build.http_flow("Orders", {"Call": define.http_action(f"https://{HOST}/")})
    scenario.build.link()
    await scenario.opt_in()
    return scenario


async def list_issue_names(scenario: Scenario) -> list[str]:
    """Return the names of the firewall issues that are left."""
    return [one.issue.name for one in await propose_fixes(scenario.services)]


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_app_applies_fixes_to_documented_firewall_kinds_only(kind: str) -> None:
    """The app can apply a fix to exactly these kinds of firewalls. A person changes the others."""
    scenario = await build_guarded_scenario(kind)
    name = _resource(kind)

    shown = await propose_fixes(scenario.services, name)

    has_opening = {one.fix.added_entries is not None for one in shown}
    assert has_opening == {kind in APPLIED}
    assert isinstance(scenario.services.firewalls[kind], AppliesFixes) is (kind in APPLIED)


@pytest.mark.parametrize("kind", APPLIED)
async def test_firewall_fix_is_applied_and_reverted_exactly(kind: str) -> None:
    """The revert restores the firewall exactly, and a record names the change and who made it."""
    scenario = await build_guarded_scenario(kind)
    before = scenario.azure
    [shown] = await propose_fixes(scenario.services, _resource(kind))

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
    """The second request is rejected because no firewall issue is left, and writes nothing."""
    scenario = await build_guarded_scenario(kind)
    await apply_fix(scenario.services, build_fix_input(kind))
    changed = scenario.azure

    with pytest.raises(JobBlocked, match="has no firewall issue") as refused:
        await apply_fix(scenario.services, build_fix_input(kind))

    assert refused.value.code == Reason.ISSUE_NOT_FOUND
    assert scenario.azure == changed


def build_faulty_services(scenario: Scenario, plan: Plan) -> Any:
    """Return services of a process with the faults of this plan."""
    return scenario.make(scenario.fakes.ports.under(plan))


async def attempt(scenario: Scenario, plan: Plan, use_case: Any, order: FirewallFixInput) -> None:
    """Send a request with the faults of this plan: the process may die, or a request may fail."""
    try:
        await use_case(build_faulty_services(scenario, plan), order)
    except BaseException as error:
        if not (was_killed(error) or isinstance(error, ServiceUnavailable | MustWait)):
            raise


@pytest.mark.parametrize("kind", APPLIED)
@pytest.mark.parametrize(
    ("moment", "is_killed"),
    [(Moment.BEFORE, True), (Moment.AFTER, True), (Moment.AFTER, False)],
)
async def test_repeated_request_completes_fix_and_revert_after_any_failure(
    kind: str, moment: Moment, is_killed: bool
) -> None:
    """Applying and reverting succeed when repeated after a kill or a failure at any request."""
    failure: dict[str, Any] = (
        {} if is_killed else {"failure": lambda: ServiceUnavailable("no answer")}
    )
    calls = Plan()
    scenario = await build_guarded_scenario(kind)
    before = scenario.azure
    await apply_fix(build_faulty_services(scenario, calls), build_fix_input(kind))
    opened = scenario.azure

    for number in range(1, calls.calls + 1):
        scenario = await build_guarded_scenario(kind)
        await attempt(
            scenario, Plan(at=number, moment=moment, **failure), apply_fix, build_fix_input(kind)
        )
        scenario.world.clock.advance(scenario.settings.resource_lease_duration)
        if await list_issue_names(scenario):
            await apply_fix(scenario.services, build_fix_input(kind))
        assert scenario.azure == opened, number

        plan = Plan(at=number, moment=moment, **failure)
        await attempt(scenario, plan, revert_fix, build_fix_input(kind))
        scenario.world.clock.advance(scenario.settings.resource_lease_duration)
        if scenario.azure != before:
            await revert_fix(scenario.services, build_fix_input(kind))
        assert scenario.azure == before, number


@pytest.mark.parametrize("kind", APPLIED)
async def test_kill_switch_read_only_policy_and_maintenance_window_stop_a_fix(kind: str) -> None:
    """Kill switch, read-only mode and maintenance window stop a fix; the switch stops a revert."""
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
    """A resource writer during whose first use somebody edits the resource."""

    def __init__(self, inner: Any, edit: Callable[[], None]) -> None:
        """Call `edit` once, before the first write."""
        self._inner, self._edits = inner, [edit]

    def __getattr__(self, name: str) -> Any:
        while self._edits:
            self._edits.pop()()
        return getattr(self._inner, name)


async def test_fix_keeps_concurrent_edit_of_an_ip_group() -> None:
    """The ETag makes the first write fail, and the app repeats it with the edit included."""
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
    """A revert removes only the entries that are unchanged since the app added them."""
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
    """Return the path of the only network security group."""
    [found] = [path for path in scenario.world.resources if "/networksecuritygroups/" in path]
    return found


async def test_error_for_a_rejected_write_contains_the_azure_code() -> None:
    """If an Azure policy denies the write, the error has Azure's code and nothing is changed."""
    scenario = await build_guarded_scenario("network_security_group")

    class Refusing:
        async def put(self, *_: object, **__: object) -> None:
            raise PlatformError(
                "disallowed by policy", code="RequestDisallowedByPolicy", status=403
            )

    services = replace(scenario.services, resource_writer=Refusing())  # type: ignore[arg-type]
    before = scenario.azure

    with pytest.raises(PlatformError, match="RequestDisallowedByPolicy"):
        await apply_fix(services, build_fix_input("network_security_group"))

    [record] = await list_applied_fixes(scenario.services)
    assert record.state is FirewallFixState.APPLYING
    assert scenario.azure == before


async def test_concurrent_fix_waits_for_the_resource_lease() -> None:
    """The second request must wait while the first has the lease of the resource."""
    scenario = await build_guarded_scenario("network_security_group")
    first = Plan(at=None)

    class Midway:
        """A resource writer that sends the same request again in the middle of the first."""

        async def put(self, *arguments: Any, **named: Any) -> None:
            with pytest.raises(MustWait) as second:
                await apply_fix(scenario.services, build_fix_input("network_security_group"))
            assert second.value.code == Reason.WAITING_FOR_RESOURCE_LEASE
            await scenario.fakes.ports.resource_writer.put(*arguments, **named)

    services = replace(build_faulty_services(scenario, first), resource_writer=Midway())

    await apply_fix(services, build_fix_input("network_security_group"))

    assert await list_issue_names(scenario) == []


async def test_error_for_unknown_firewall_name_suggests_existing_names() -> None:
    """The error names a similar name, or else all names."""
    scenario = await build_guarded_scenario("network_security_group")

    for use_case in (apply_fix, revert_fix):
        with pytest.raises(JobBlocked) as refused:
            await use_case(scenario.services, FirewallFixInput(resource="egde", requested_by="ops"))
        assert refused.value.code == Reason.ISSUE_NOT_FOUND
    with pytest.raises(JobBlocked) as asked:
        await propose_fixes(scenario.services, "network_security_group:/subscriptions/s/nothing")

    assert "network_security_group:" in asked.value.fix


async def test_fix_changes_only_the_part_of_the_firewall_that_flows_call() -> None:
    """The app does not change the restrictions of the scm site. A person has to name that part."""
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
    """If no flow is known to call any part of the firewall, the error names the parts."""
    scenario = Guarded(has_azure_firewalls=True)
    scenario.world.service_tags = {name: [*listed] for name, listed in _PREFIXES.items()}
    scenario.guard(
        security_group(
            security_rule("a", 100, access="Deny", destinationAddressPrefix="10.0.1.4"),
            security_rule("b", 101, access="Deny", destinationAddressPrefix="10.0.1.5"),
        )
    )
    scenario.build.link()
    await scenario.opt_in()

    with pytest.raises(JobBlocked, match=r"edge is ambiguous. Name one of these: .*#10\.0\.1\.4"):
        await apply_fix(scenario.services, FirewallFixInput(resource="edge", requested_by="ops"))


async def test_revert_is_rejected_while_a_copy_uses_the_firewall() -> None:
    """The app rejects the revert while a copy uses the firewall.

    A rollback does not revert the fix.
    """
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
    assert f"1 of {scenario.remediation.id}" in in_use.value.reason
    assert after_rollback == opened
    assert closed.state is FirewallFixState.REVERTED


async def test_forced_revert_ignores_copies_that_use_the_firewall() -> None:
    """With force, the app reverts a fix that a copy still uses."""
    scenario = await build_guarded_scenario("network_security_group")
    before = scenario.azure
    await apply_fix(scenario.services, build_fix_input("network_security_group"))
    await scenario.order()
    await scenario.approve()

    await revert_fix(scenario.services, build_fix_input("network_security_group", force=True))

    assert scenario.azure == before


async def test_second_fix_with_new_ranges_extends_the_first_record() -> None:
    """Both requests share one record, and a revert removes the entries of both."""
    scenario = await build_guarded_scenario("azure_firewall")
    before = scenario.azure
    await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    scenario.world.service_tags[WEST].append("20.105.211.64/28")

    [opened] = await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    await revert_fix(scenario.services, build_fix_input("azure_firewall"))

    assert len(opened.added_entries.entries) == 4
    assert scenario.azure == before


async def test_revert_is_rejected_if_it_removes_the_only_restriction_of_a_site() -> None:
    """The app rejects the revert, because a site without restrictions allows every address."""
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
    """The app marks the fix of a deleted firewall as reverted."""
    scenario = await build_guarded_scenario("azure_firewall")
    await apply_fix(scenario.services, build_fix_input("azure_firewall"))
    scenario.world.resources = {ip_group("other")["id"].lower(): ip_group("other")}

    [closed] = await revert_fix(scenario.services, build_fix_input("azure_firewall"))

    assert closed.state is FirewallFixState.REVERTED


@pytest.mark.parametrize("kind", APPLIED)
async def test_repeated_request_completes_a_fix_whose_response_was_lost(kind: str) -> None:
    """The repeated request finds the written entries and marks the fix as applied."""
    scenario = await build_guarded_scenario(kind)
    writes = {"app_service": "patch"}.get(kind, "put")

    class Deaf:
        def __getattr__(self, name: str) -> Any:
            async def call(*arguments: Any, **named: Any) -> None:
                await getattr(scenario.fakes.ports.resource_writer, name)(*arguments, **named)
                if name == writes and (kind != GROUP or "North" in arguments[0]):
                    raise ServiceUnavailable("no answer")

            return call

    services = replace(scenario.services, resource_writer=Deaf())
    with pytest.raises(ServiceUnavailable):
        await apply_fix(services, build_fix_input(kind))
    [begun] = await list_applied_fixes(scenario.services)

    [ended] = await apply_fix(scenario.services, build_fix_input(kind))

    assert (begun.state, ended.state) == (FirewallFixState.APPLYING, FirewallFixState.APPLIED)
    assert await list_applied_fixes(scenario.services) == [ended]


async def test_daily_check_notifies_about_a_fix_of_a_firewall_that_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check continues with the other firewalls."""
    kind = "network_security_group"
    scenario = await build_guarded_scenario(kind)
    services = replace(
        build_faulty_services(scenario, Plan()), resource_writer=Failing(ServiceUnavailable("no"))
    )
    with pytest.raises(ServiceUnavailable):
        await apply_fix(services, build_fix_input(kind))
    scenario.world.clock.advance(timedelta(hours=2))

    async def reject(*_: object) -> None:
        raise PlatformError("no role", code="AuthorizationFailed", status=403)

    services = scenario.services
    monkeypatch.setattr(type(services.firewalls[kind]), "read_list", reject)
    await complete_or_report_unfinished_fixes(services)

    [alert] = scenario.fakes.notices.told
    assert alert.reason_code == Reason.FIREWALL_FIX_UNFINISHED
    assert alert.message.endswith("It cannot be read: AuthorizationFailed: no role")


async def test_daily_check_notifies_about_an_incomplete_fix() -> None:
    """The daily check sends a notification about a fix that was begun two hours before."""
    scenario = await build_guarded_scenario("network_security_group")
    plan = Plan()

    class Dying:
        async def put(self, *_: object, **__: object) -> None:
            raise ServiceUnavailable("no answer")

    services = replace(build_faulty_services(scenario, plan), resource_writer=Dying())
    with pytest.raises(ServiceUnavailable):
        await apply_fix(services, build_fix_input("network_security_group"))

    await scenario.driver.call(lambda s: run_daily_check(s, "soon"))
    soon = [one.reason_code for one in scenario.fakes.notices.told]
    scenario.world.clock.advance(timedelta(hours=2))
    await scenario.driver.call(lambda s: run_daily_check(s, "later"))

    assert Reason.FIREWALL_FIX_UNFINISHED not in soon
    [told] = [
        one
        for one in scenario.fakes.notices.told
        if one.reason_code == Reason.FIREWALL_FIX_UNFINISHED
    ]
    assert "edge" in told.message
    [record] = await list_applied_fixes(scenario.services)
    assert isinstance(record, FirewallFixRecord)
    await apply_fix(scenario.services, build_fix_input("network_security_group"))
    [ended] = await list_applied_fixes(scenario.services)
    assert (ended.state, ended.reason_code) == (FirewallFixState.APPLIED, "")


class Forgetful:
    """A resource writer that accepts every write and stores none."""

    def __getattr__(self, _: str) -> Any:
        async def accept(*_: object, **__: object) -> None:
            """Accept the write."""

        return accept


async def repeat_until_blocked(services: Services, use_case: Any, kind: str) -> JobBlocked:
    """Repeat a request whose writes Azure does not keep, until the app is blocked.

    Return the error.
    """
    for _ in range(20):
        try:
            await use_case(services, build_fix_input(kind))
        except MustWait as not_yet:
            await services.clock.sleep(not_yet.until - services.now)
        except JobBlocked as blocked:
            return blocked
    raise AssertionError("nobody is told")


@pytest.mark.parametrize("kind", APPLIED)
async def test_error_names_entries_that_azure_did_not_store(kind: str) -> None:
    """The error names the missing entries, and the fix is recorded as reverted, without entries."""
    scenario = await build_guarded_scenario(kind)
    services = replace(scenario.services, resource_writer=Forgetful())
    [shown] = await propose_fixes(scenario.services, _resource(kind))

    blocked = await repeat_until_blocked(services, apply_fix, kind)

    [record] = await list_applied_fixes(scenario.services)
    assert blocked.code == Reason.FIREWALL_FIX_FAILED
    assert shown.fix.added_entries is not None
    assert all(entry in blocked.reason for entry in shown.fix.added_entries.entries)
    assert "activity log" in blocked.fix
    assert (record.state, record.added_entries.entries) == (FirewallFixState.REVERTED, ())
    with pytest.raises(JobBlocked) as nothing_to_undo:
        await revert_fix(scenario.services, build_fix_input(kind))
    assert nothing_to_undo.value.code == Reason.ISSUE_NOT_FOUND
    [opened] = await apply_fix(scenario.services, build_fix_input(kind))
    assert opened.state is FirewallFixState.APPLIED


@pytest.mark.parametrize("kind", APPLIED)
async def test_record_keeps_entries_if_azure_does_not_store_the_revert(kind: str) -> None:
    """The record keeps the entries until a later revert removes them."""
    scenario = await build_guarded_scenario(kind)
    before = scenario.azure
    [opened] = await apply_fix(scenario.services, build_fix_input(kind))
    services = replace(scenario.services, resource_writer=Forgetful())

    blocked = await repeat_until_blocked(services, revert_fix, kind)

    [record] = await list_applied_fixes(scenario.services)
    assert blocked.code == Reason.FIREWALL_FIX_FAILED
    assert record.added_entries.entries == opened.added_entries.entries
    assert record.reason_code == Reason.FIREWALL_FIX_UNFINISHED
    await revert_fix(scenario.services, build_fix_input(kind))
    assert scenario.azure == before
