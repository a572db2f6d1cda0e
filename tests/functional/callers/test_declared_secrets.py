from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.callers.caller_records import CallerState
from shared.domain.callers.declared_caller import CalledFlow
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.use_cases.confirm_caller import confirm_caller
from shared.use_cases.declare_callers import declare_callers
from tests.fakes.secrets import FakeSecrets
from tests.fakes.tenant import FakeFlow, FakeSecret
from tests.functional.callers.test_declared_callers import build_till
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

DAY = timedelta(days=1)
VAULT, NAME = "https://till.vault.azure.net", "post-url"
SECRET = f"{VAULT}/secrets/{NAME}"


def build_called_flow_by_id(flow: FakeFlow) -> CalledFlow:
    return CalledFlow(
        environment_id=flow.environment_id, flow_id=flow.workflow_id, new_url_secret=SECRET
    )


def build_called_flow_by_url(flow: FakeFlow) -> CalledFlow:
    return CalledFlow(trigger_url_id=flow.trigger_url_id, new_url_secret=SECRET)


def find_secret(scenario: Scenario) -> FakeSecret | None:
    return scenario.world.secrets.get((VAULT, NAME))


async def build_scenario(
    called: Callable[[FakeFlow], CalledFlow] = build_called_flow_by_id, *, value: str | None = None
) -> tuple[Scenario, FakeFlow]:
    """Return a scenario with a plan. `value` is the content of the secret: "" for the original's
    URL, None for no secret.
    """
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    if value is not None:
        version = scenario.world.create_secret_version(
            value or scenario.build.get_trigger_url(original)
        )
        scenario.world.secrets[VAULT, NAME] = FakeSecret(
            vault_url=VAULT, name=NAME, versions=[version], content_type="text/uri"
        )
    await declare_callers(scenario.services, [build_till(called(original))])
    await plan_remediation(scenario)
    return scenario, original


@pytest.mark.parametrize("called", [build_called_flow_by_id, build_called_flow_by_url])
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "holds the original's URL"])
async def test_the_secret_gets_the_new_url_and_after_a_rollback_the_old_one(
    called: Callable[[FakeFlow], CalledFlow], value: str | None
) -> None:
    scenario, original = await build_scenario(called, value=value)

    await scenario.approve()
    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(original.environment_id, job.copy.id)
    written = find_secret(scenario)
    assert written
    after = written.value
    await scenario.roll_back()
    await scenario.run(30 * DAY)

    assert after == scenario.build.get_trigger_url(copy)
    assert written.value == scenario.build.get_trigger_url(original)
    assert written.content_type == (None if value is None else "text/uri")
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK


async def test_the_plan_shows_the_secret_and_where_the_owner_finds_the_url() -> None:
    scenario, _ = await build_scenario()

    found = {one.kind: one for one in (await scenario.plan())["Orders"].callers}

    assert found.keys() == {"declared_caller", "key_vault_secret"}
    assert found["key_vault_secret"].manual_reason == ""
    assert f"secret {NAME} in {VAULT}" in found["key_vault_secret"].label
    assert "declared caller Till of Alex" in found["key_vault_secret"].label
    reason = found["declared_caller"].manual_reason
    assert f"The new URL is in the secret {NAME} of the key vault till." in reason


async def test_without_a_secret_the_fix_says_who_sends_the_url() -> None:
    """No message contains a URL."""
    scenario, _ = await build_scenario(
        lambda flow: replace(build_called_flow_by_id(flow), new_url_secret="")
    )

    await scenario.approve()

    job = await scenario.read_job("Orders")
    assert "An owner of the copy finds the new URL in Power Automate" in job.fix
    assert scenario.world.secrets == {}


async def test_another_value_in_the_secret_is_never_overwritten() -> None:
    scenario, original = await build_scenario(value="a password of something else")
    secret = find_secret(scenario)
    assert secret

    await scenario.approve()
    blocked = await scenario.read_job("Orders")
    unchanged = secret.value
    secret.versions.append(
        scenario.world.create_secret_version(scenario.build.get_trigger_url(original))
    )
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert f"secret {NAME} in {VAULT}" in blocked.message
    assert "holds a value other than the URL of Orders" in blocked.message
    assert unchanged == "a password of something else"
    copy_id = (await scenario.read_job("Orders")).copy.id
    copy = scenario.world.get_workflow(original.environment_id, copy_id)
    assert secret.value == scenario.build.get_trigger_url(copy)


async def test_a_vault_that_denies_the_app_is_named_in_the_plan_and_blocks_the_flow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def deny(*_: object) -> None:
        raise PlatformError("no access", code="ForbiddenByFirewall", status=403)

    monkeypatch.setattr(FakeSecrets, "read", deny)
    scenario, original = await build_scenario()

    findings = " ".join((await scenario.read_environment_job()).findings)
    await scenario.approve()
    blocked = await scenario.read_job("Orders")

    assert f"secret {NAME} in {VAULT} (ForbiddenByFirewall)" in findings
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "ForbiddenByFirewall")
    assert blocked.fix
    assert original.is_on


async def test_a_deleted_secret_of_the_same_name_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Key Vault reserves the name of a deleted secret."""

    async def reject(*_: object) -> None:
        raise Conflict("deleted but recoverable (ObjectIsDeletedButRecoverable)")

    monkeypatch.setattr(FakeSecrets, "write", reject)
    scenario, _ = await build_scenario()

    await scenario.approve()

    blocked = await scenario.read_job("Orders")
    assert "a deleted secret has its name" in blocked.message
    assert f"Recover the secret {NAME} of {VAULT}" in blocked.fix


async def test_a_confirmed_caller_keeps_its_secret() -> None:
    scenario, _ = await build_scenario()
    await scenario.approve()

    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(30 * DAY)

    job = await scenario.read_job("Orders")
    states = {
        one.caller.kind: one.state
        for one in await scenario.services.tables.callers.read_all(job.id)
    }
    assert job.state is FlowJobState.RETIRED
    assert states == {
        "declared_caller": CallerState.CHANGED,
        "key_vault_secret": CallerState.UPDATED,
    }


async def test_a_secret_belongs_to_one_flow_of_one_caller() -> None:
    """A secret contains only one URL."""
    scenario = Scenario()
    first, returns = scenario.build.add_http_flow("Orders"), scenario.build.add_http_flow("Returns")
    await declare_callers(scenario.services, [build_till(build_called_flow_by_id(first))])

    with pytest.raises(JobBlocked, match="Till, Kiosk"):
        await declare_callers(
            scenario.services, [build_till(build_called_flow_by_id(returns), name="Kiosk")]
        )
    with pytest.raises(JobBlocked, match="Till, Till"):
        await declare_callers(
            scenario.services,
            [build_till(build_called_flow_by_id(first), build_called_flow_by_id(returns))],
        )
    [kept] = await declare_callers(scenario.services, [build_till(build_called_flow_by_id(first))])

    assert [one.flow_id for one in kept.flows] == [first.workflow_id]
