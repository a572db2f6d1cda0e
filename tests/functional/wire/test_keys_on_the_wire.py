from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys.aio import KeyClient

from local_cloud.tenant.azure.state import VAULTS, Azure
from shared.alerts import delete_settled_alerts
from shared.domain.finding import FindingLevel
from shared.use_cases.check_keys import check_keys
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.azure_world import Credential
from tests.local_cloud.tenant.tenant_world import VAULT_ID

KEY, URL = "pp-cmk", "https://kv-cmk.vault.azure.net"
DAY = 86_400


async def test_key_check_finds_a_revoked_role_and_a_closed_vault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        azure = scenario.tenant.get_part(Azure)
        by_name = await check_keys(scenario.services, vault="KV-CMK", key=KEY)
        by_id = await check_keys(scenario.services, vault=VAULT_ID, key=KEY)
        azure.role_assignments.clear()
        vault = azure.resources.find(VAULTS, VAULT_ID)
        assert vault is not None
        vault["properties"]["networkAcls"] = {"defaultAction": "Deny", "bypass": "None"}
        [closed] = await check_keys(scenario.services)

    assert [one.level for one in (*by_name, *by_id)] == [FindingLevel.OK, FindingLevel.OK]
    assert [
        (one.code, one.level) for one in closed.findings if one.level is not FindingLevel.OK
    ] == [
        ("vault_network", FindingLevel.PROBLEM),
        ("key_grants", FindingLevel.PROBLEM),
    ]


async def test_vault_that_allows_trusted_services_has_no_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        vault = scenario.tenant.get_part(Azure).resources.find(VAULTS, VAULT_ID)
        assert vault is not None
        vault["properties"]["networkAcls"] = {"defaultAction": "Deny", "bypass": "AzureServices"}
        [by_policy] = await check_keys(scenario.services)
        async with open_key_client(scenario) as keys:
            with pytest.raises(HttpResponseError, match="is not a trusted service"):
                await keys.get_key(KEY)

    assert {one.level for one in by_policy.findings} == {FindingLevel.OK}


@asynccontextmanager
async def open_key_client(scenario: WireScenario) -> AsyncIterator[KeyClient]:
    async with KeyClient(
        URL,
        Credential(scenario.tenant),
        proxies={"https": scenario.server.proxy_url},
        connection_verify=scenario.server.ca_file,
    ) as client:
        yield client


async def run_daily_check_of_key(scenario: WireScenario, date: str) -> list[tuple[str, str]]:
    """Run the daily check on the next day. Return the reason code and the finding's code of each
    open alert about the key.
    """
    scenario.tenant.clock.advance(DAY)
    await run_daily_check(scenario.services, date)
    await delete_settled_alerts(scenario.services)
    tables = scenario.services.tables
    checks = {
        tables.key_alerts.get_row_name(row): row for row in await tables.key_alerts.read_all()
    }
    notices = await tables.alerts.read_all("alert")
    return sorted(
        (one.reason_code, checks[one.row].finding.code) for one in notices if one.row in checks
    )


async def test_each_change_of_a_key_raises_one_alert_until_it_is_reverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        now = scenario.tenant.clock.now
        sound = await run_daily_check_of_key(scenario, "day-1")
        async with open_key_client(scenario) as keys:
            old = (await keys.get_key(KEY)).properties
            new = (await keys.rotate_key(KEY)).properties
            rotated = await run_daily_check_of_key(scenario, "day-2")
            await keys.update_key_properties(KEY, old.version, enabled=False)
            early = (
                await run_daily_check_of_key(scenario, "day-3"),
                await run_daily_check_of_key(scenario, "day-4"),
            )
            await keys.update_key_properties(KEY, old.version, enabled=True)
            await keys.update_key_properties(KEY, new.version, enabled=False)
            disabled = await run_daily_check_of_key(scenario, "day-5")
            await keys.update_key_properties(
                KEY, new.version, enabled=True, expires_on=now() + timedelta(days=3)
            )
            nearing = (
                await run_daily_check_of_key(scenario, "day-6"),
                await run_daily_check_of_key(scenario, "day-7"),
            )
            expired = (
                await run_daily_check_of_key(scenario, "day-8"),
                await run_daily_check_of_key(scenario, "day-9"),
            )
            await keys.rotate_key(KEY)
            healthy_again = await run_daily_check_of_key(scenario, "day-10")

    told = [
        one for one in caplog.messages if one.startswith('action required | {"reason_code": "key_')
    ]
    assert sound == rotated == healthy_again == []
    assert early == ([("key_problem", "previous_versions")],) * 2
    assert disabled == [("key_problem", "key_enabled")]
    assert nearing == ([("key_warning", "key_validity")],) * 2
    assert expired == ([("key_problem", "key_validity")],) * 2
    assert len(told) == 4  # the health of the policy follows from them
