from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.errors import JobBlocked, MustWait, PlatformError, ServiceUnavailable
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
from tests.fakes.crash import Moment, Plan, was_killed
from tests.fakes.fault_injection import Failing
from tests.functional.scenarios.firewall_scenario import (
    APPLIED,
    GROUP,
    build_faulty_services,
    build_fix_input,
    build_guarded_scenario,
    find_resource_name,
    list_issue_names,
)
from tests.functional.scenarios.remediation_scenario import Scenario


async def run_with_faults(
    scenario: Scenario, plan: Plan, use_case: Any, order: FirewallFixInput
) -> None:
    """Run a use case, and ignore the errors that the plan causes."""
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
        await run_with_faults(
            scenario, Plan(at=number, moment=moment, **failure), apply_fix, build_fix_input(kind)
        )
        scenario.world.clock.advance(scenario.settings.resource_lease_duration)
        if await list_issue_names(scenario):
            await apply_fix(scenario.services, build_fix_input(kind))
        assert scenario.azure == opened, number

        plan = Plan(at=number, moment=moment, **failure)
        await run_with_faults(scenario, plan, revert_fix, build_fix_input(kind))
        scenario.world.clock.advance(scenario.settings.resource_lease_duration)
        if scenario.azure != before:
            await revert_fix(scenario.services, build_fix_input(kind))
        assert scenario.azure == before, number


async def test_error_for_a_rejected_write_contains_the_azure_code() -> None:
    scenario = await build_guarded_scenario("network_security_group")

    class RejectingWriter:
        async def put(self, *_: object, **__: object) -> None:
            raise PlatformError(
                "disallowed by policy", code="RequestDisallowedByPolicy", status=403
            )

    services = replace(scenario.services, resource_writer=RejectingWriter())  # type: ignore[arg-type]
    before = scenario.azure

    with pytest.raises(PlatformError, match="RequestDisallowedByPolicy"):
        await apply_fix(services, build_fix_input("network_security_group"))

    [record] = await list_applied_fixes(scenario.services)
    assert record.state is FirewallFixState.APPLYING
    assert scenario.azure == before


@pytest.mark.parametrize("kind", APPLIED)
async def test_missing_permission_is_named_with_its_role_and_scope(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)

    class RejectingWriter:
        def __getattr__(self, name: str) -> Any:
            raise PlatformError("no role", code="AuthorizationFailed", status=403)

    services = replace(scenario.services, resource_writer=RejectingWriter())

    with pytest.raises(JobBlocked) as blocked:
        await apply_fix(services, build_fix_input(kind))

    assert blocked.value.code == "AuthorizationFailed"
    assert "needs the role Flow remediation: firewalls on /subscriptions/" in blocked.value.fix
    assert "CMK_FIREWALL_RESOURCE_GROUP_IDS" in blocked.value.fix


@pytest.mark.parametrize("kind", APPLIED)
async def test_repeated_request_completes_a_fix_whose_response_was_lost(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)
    writes = {"app_service": "patch"}.get(kind, "put")

    class ResponseLosingWriter:
        def __getattr__(self, name: str) -> Any:
            async def call(*arguments: Any, **named: Any) -> None:
                await getattr(scenario.fakes.ports.resource_writer, name)(*arguments, **named)
                if name == writes and (kind != GROUP or "North" in arguments[0]):
                    raise ServiceUnavailable("no answer")

            return call

    services = replace(scenario.services, resource_writer=ResponseLosingWriter())
    with pytest.raises(ServiceUnavailable):
        await apply_fix(services, build_fix_input(kind))
    [begun] = await list_applied_fixes(scenario.services)

    [ended] = await apply_fix(scenario.services, build_fix_input(kind))

    assert (begun.state, ended.state) == (FirewallFixState.APPLYING, FirewallFixState.APPLIED)
    assert await list_applied_fixes(scenario.services) == [ended]


async def test_daily_check_notifies_about_a_fix_of_a_firewall_that_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    scenario = await build_guarded_scenario("network_security_group")
    plan = Plan()

    class FailingWriter:
        async def put(self, *_: object, **__: object) -> None:
            raise ServiceUnavailable("no answer")

    services = replace(build_faulty_services(scenario, plan), resource_writer=FailingWriter())
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
        async def accept(*_: object, **__: object) -> None: ...

        return accept


async def repeat_until_blocked(services: Services, use_case: Any, kind: str) -> JobBlocked:
    """Repeat the request until it raises `JobBlocked`, and return the error."""
    for _ in range(20):
        try:
            await use_case(services, build_fix_input(kind))
        except MustWait as not_yet:
            await services.clock.sleep(not_yet.until - services.now)
        except JobBlocked as blocked:
            return blocked
    raise AssertionError("the app is never blocked")


@pytest.mark.parametrize("kind", APPLIED)
async def test_error_names_entries_that_azure_did_not_store(kind: str) -> None:
    scenario = await build_guarded_scenario(kind)
    services = replace(scenario.services, resource_writer=Forgetful())
    [shown] = await propose_fixes(scenario.services, find_resource_name(kind))

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
